#!/bin/sh
# The include law: a file of filter/ includes its own folder and the folders
# before it in this order, nothing behind it; and each foreign library is
# seen only where its wall stands.
awk '
BEGIN {
	n = split("base service mail check score policy milter daemon", order)
	for (i = 1; i <= n; i++)
		rank[order[i]] = i
	# header of a library: files that may include it
	wall["openssl/"] = "^filter/check/dkim_(canon|key|signer)[.]c$" \
	    "|^filter/service/redis_wire[.]c$"
	wall["hiredis/"] = "^filter/service/redis_wire[.]h$"
	wall["libpsl.h"] = "^filter/base/psl[.]c$"
	wall["maxminddb.h"] = "^filter/service/geoip"
	wall["curl/"] = "^filter/service/"
	wall["sqlite3.h"] = "^filter/service/"
	wall["unbound.h"] = "^filter/service/"
	wall["pcre2.h"] = "^filter/(score|policy)/"
	wall["libmilter/"] = "^filter/milter/"
	wall["gmime/"] = "^filter/mail/"
	wall["glib"] = "^filter/mail/"
}
function problem(text)
{
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad = 1
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, part, "\"")
	split(FILENAME, path, "/")
	slash = index(part[2], "/")
	folder = substr(part[2], 1, slash - 1)
	if (!slash || !(folder in rank))
		problem("\"" part[2] "\" is not written from filter/")
	else if (rank[folder] > rank[path[2]])
		problem(path[2] "/ may not include \"" part[2] "\"")
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	split($0, part, /[<>]/)
	for (library in wall)
		if (index(part[2], library) == 1 && FILENAME !~ wall[library])
			problem("<" part[2] "> stays behind its wall")
}
END { exit bad }
' filter/*/*.[ch]
