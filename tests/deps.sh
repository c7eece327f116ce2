#!/bin/sh
# deps.sh build|test: installs the Debian packages that are missing.
#
# Silent where nothing is missing.  Nothing that is installed here is
# started, and an MTA that is there stays the host's MTA.
set -eu

packages="build-essential pkg-config libmilter-dev libpcre2-dev
    libssl-dev libunbound-dev libpsl-dev publicsuffix
    libidn2-dev libgmime-3.0-dev libsqlite3-dev libhiredis-dev
    zlib1g-dev liblzma-dev libbz2-dev libzstd-dev libcurl4-openssl-dev libmaxminddb-dev
    dns-root-data"
case ${1-} in
build)
	;;
test)
	packages="$packages
	    clang clang-format libclang-rt-dev universal-ctags mandoc
	    libcmocka-dev libopendkim-dev python3-pytest python3-dnslib
	    python3-dkim python3-spf python3-yaml python3-nacl python3-authres
	    libmail-dkim-perl spamassassin postfix redis-server sasl2-bin
	    libsasl2-modules libsasl2-modules-db swaks m4 curl openssl"
	;;
*)
	echo "usage: deps.sh build|test" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "deps: no Debian here; these packages' like is needed:" $packages
	exit 0
fi

installed()
{
	case $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) in
	?i*)	return 0 ;;
	*)	return 1 ;;
	esac
}

# The MTA of this host, if there is one: a package, a sendmail that no package
# brought, or the configuration of a Postfix that would come to life again.
host_mta()
{
	mta=$(dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Provides}\n' |
	    awk -F '|' '$1 ~ /^.i/ && $3 ~ /mail-transport-agent/ {
		print $2; exit }')
	for file in /usr/sbin/sendmail /etc/postfix/main.cf; do
		[ -z "$mta" ] && [ -e "$file" ] && mta=$file
	done
	echo "$mta"
}

missing=
for package in $packages; do
	installed "$package" && continue
	if [ "$package" = postfix ] && [ -n "$(host_mta)" ]; then
		echo "deps: $(host_mta) stays this host's MTA:" \
		    "what needs Postfix is skipped"
		continue
	fi
	missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: these Debian packages are missing:$missing" >&2
	echo "deps: as root: apt-get install$missing" >&2
	exit 1
fi

policy=/usr/sbin/policy-rc.d
saved=$policy.before-postern

restore()
{
	rm -f "$policy"
	if [ -e "$saved" ] || [ -L "$saved" ]; then
		mv "$saved" "$policy"
	fi
}

# A run that was killed may have left its own behind.
if [ -e "$saved" ] || [ -L "$saved" ] ||
    grep -q 'deps of postern' "$policy" 2>/dev/null; then
	restore
fi
if [ -e "$policy" ] || [ -L "$policy" ]; then
	mv "$policy" "$saved"
fi
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\n# deps of postern: start nothing now\nexit 101\n' \
    >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
case " $missing " in
*" postfix "*)
	echo "postfix postfix/main_mailer_type select No configuration" |
	    debconf-set-selections
	;;
esac
apt_get="apt-get -q -o DPkg::Lock::Timeout=300"
$apt_get update
# shellcheck disable=SC2086
$apt_get install -y --no-install-recommends $missing

# Nor does the next boot start it; and of SpamAssassin's key nobody asks more.
case " $missing " in
*" redis-server "*)
	update-rc.d redis-server disable
	;;
esac
keys=/var/lib/spamassassin/sa-update-keys
case " $missing " in
*" spamassassin "*)
	gpgconf --homedir "$keys" --kill gpg-agent 2>/dev/null || true
	;;
esac
