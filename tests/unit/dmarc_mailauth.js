// MAILAUTH=FOLDER node tests/unit/dmarc_mailauth.js
//
// Asks mailauth (npm; FOLDER is the package) about the cases of
// dmarc_cases.txt, and tells where it does not say what stands there.  Run by
// hand; exit status 77: mailauth is not here.
'use strict';
const fs = require('fs');
const path = require('path');

const home = process.env.MAILAUTH || 'mailauth';
let authenticate, dmarc;
try {
	({ authenticate } = require(path.join(home, 'lib/mailauth.js')));
	({ dmarc } = require(path.join(home, 'lib/dmarc/index.js')));
} catch (err) {
	process.exit(77);
}

const [zoneText, caseText] = fs.readFileSync(
    path.join(__dirname, 'dmarc_cases.txt'), 'utf8').split('--- cases\n');
const zone = {};

function unescapeText(s) {
	return s.replace(/\\(\d{3}|.)/g,
	    (_, c) => c.length === 3 ? String.fromCharCode(+c) : c);
}

for (const line of zoneText.split('\n')) {
	const m = /^(\S+) (\S+) (.*)$/.exec(line);

	if (!m || line[0] === '#')
		continue;
	const types = zone[m[1]] = zone[m[1]] || {};
	const value = m[3].startsWith('!') ? 'fault' : m[2] !== 'TXT' ? m[3] :
	    [...m[3].matchAll(/"((?:\\.|[^"\\])*)"/g)]
	        .map(x => unescapeText(x[1]));

	(types[m[2]] = types[m[2]] || []).push(value);
}

async function resolver(name, type) {
	const found = (zone[name.toLowerCase()] || {})[type];

	if (!found || found[0] === 'fault')
		throw Object.assign(new Error(name),
		    { code: found ? 'ESERVFAIL' : 'ENOTFOUND' });
	return found;
}

// The From field is read by mailauth's own parser.
async function authors(from) {
	const message = 'From: ' + from + '\r\nSubject: x\r\n\r\nx\r\n';
	let seen = [];
	const r = await authenticate(Buffer.from(message), {
		ip: '192.0.2.1', helo: 'h.invalid', sender: '',
		mta: 'mx.invalid', disableDmarc: true, disableArc: true,
		disableBimi: true,
		resolver: async () => {
			throw Object.assign(new Error('no'),
			    { code: 'ENOTFOUND' });
		},
	});
	seen = r.dkim.headerFrom || seen;
	return seen;
}

function passed(column) {
	return column.split(',').map(x => x.trim().split(' '))
	    .filter(x => x[0] === 'pass').map(x => ({ domain: x[1] }));
}

(async () => {
	let asked = 0, agreed = 0, explained = 0, wrong = 0;

	for (const line of caseText.split('\n')) {
		if (!line || line[0] === '#')
			continue;
		const [from, spf, dkim, want, other] =
		    line.split('|').map(x => x.trim());

		if (other === '*')
			continue;
		const r = await dmarc({
			headerFrom: await authors(from),
			spfDomains: passed(spf), dkimDomains: passed(dkim),
			resolver });
		const got = !r ? 'none none' :
		    r.status.result + ' ' + (r.policy || 'none').toLowerCase();

		asked++;
		if (got !== (other || want)) {
			wrong++;
			console.log(`${line}\n\tmailauth: ${got}`);
		} else if (other)
			explained++;
		else
			agreed++;
	}
	console.log(`${asked} asked, ${agreed} agree, ${explained} differ ` +
	    `as explained, ${wrong} otherwise`);
	process.exit(wrong ? 1 : 0);
})();
