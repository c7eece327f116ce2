// MAILAUTH=FOLDER node tests/wire/mailauth.js KEYS <MESSAGE
//
// What mailauth (npm; FOLDER is the package) says of each DKIM signature of a
// message, a line each: SELECTOR RESULT (DETAIL).  KEYS has lines NAME
// RECORD: all of DNS.  Exit status 77: mailauth is not here.
'use strict';
const fs = require('fs');
const path = require('path');

let dkimVerify;
try {
	({ dkimVerify } = require(path.join(process.env.MAILAUTH || 'mailauth',
	    'lib/dkim/verify.js')));
} catch (err) {
	process.exit(77);
}

const zone = {};
for (const line of fs.readFileSync(process.argv[2], 'latin1').split('\n')) {
	const m = /^(\S+?)\.? (.*)$/.exec(line);

	if (m)
		zone[m[1].toLowerCase()] = m[2].match(/.{1,255}/g);
}

async function resolver(name, type) {
	const found = type === 'TXT' && zone[name.toLowerCase()];

	if (!found)
		throw Object.assign(new Error(name), { code: 'ENOTFOUND' });
	return [found];
}

(async () => {
	const seen = await dkimVerify(fs.readFileSync(0), { resolver });

	for (const one of seen.results)
		console.log(one.selector, one.status.result,
		    `(${one.status.comment || ''})`);
})();
