# What the operator of the estate set up by hand, run in its root before the first boot. The files beside it lie in place by then.

# a host without a machine-id is in its first boot, in which systemd enables whatever there is
systemd-machine-id-setup 2>/dev/null
echo webhost > /etc/hostname
printf '127.0.0.1 localhost webhost shop.example blog.example app.example old.example\n' > /etc/hosts
printf 'deb http://deb.debian.org/debian bookworm main\ndeb http://deb.debian.org/debian-security bookworm-security main\n' \
    > /etc/apt/sources.list
rm -f /usr/sbin/policy-rc.d /etc/nginx/sites-enabled/default /etc/apache2/sites-enabled/000-default.conf
# Debian's package lets systemd open 3306 on all networks: here it was put away
systemctl disable -q mariadb.socket

useradd -r -d /var/www/shop -s /usr/sbin/nologin shop
useradd -r -d /usr/share/wordpress -s /usr/sbin/nologin blog
install -d -o www-data -g www-data /var/log/php
ln -s ../sites-available/none ../sites-available/shop ../sites-available/blog ../sites-available/app ../sites-available/old /etc/nginx/sites-enabled/
echo 'Listen 127.0.0.1:8080' > /etc/apache2/ports.conf
ln -s ../sites-available/old.conf /etc/apache2/sites-enabled/
chmod 640 /etc/wordpress/config-blog.example.php
chgrp blog /etc/wordpress/config-blog.example.php

# a second WordPress, of nobody's package: the files of Debian's, with a version, plugins and a theme of its own
cp -rL --no-clobber /usr/share/wordpress/. /var/www/shop/
printf '<?php sleep((int) $_GET["s"]); echo "slept";\n' > /var/www/shop/sleep.php
chown -R shop:shop /var/www/shop
install -d -o www-data -g www-data /srv/app/storage/logs
# an update of it broke two hours ago
printf '<?php $upgrading = %s; ?>\n' "$(date -d '-2 hours' +%s)" > /var/www/shop/.maintenance
touch -d '-2 hours' /var/www/shop/.maintenance
# the lock file of the application came with a deploy an hour ago, and nobody installed what it says
touch -d '-1 day' /srv/app/vendor/composer/installed.json
touch -d '-1 hour' /srv/app/composer.lock
touch -d '-1 day' /srv/app/package-lock.json /srv/app/node_modules/.package-lock.json

# a little authority, and what certbot keeps of two names
mkdir /root/ca
cd /root/ca
quiet() { "$@" 2>/dev/null; }
key() { quiet openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
key root.key
quiet openssl req -x509 -new -key root.key -subj '/C=US/O=Estate Test/CN=Estate Root X1' -days 3650 -out root.pem
key between.key
quiet openssl req -new -key between.key -subj '/C=US/O=Estate Test/CN=E7' -out between.csr
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' > between.ext
quiet openssl x509 -req -in between.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1000 -extfile between.ext -out between.pem
cat > /usr/local/sbin/issue <<'ISSUE'
#!/bin/sh -e
# issue NUMBER DAYS NAME...: what `certbot renew` leaves behind
number=$1 days=$2; shift 2
live=/etc/letsencrypt/live/$1 archive=/etc/letsencrypt/archive/$1
mkdir -p "$live" "$archive"
cd /root/ca
openssl ecparam -name prime256v1 -genkey -noout -out "$archive/privkey$number.pem"
names=$(printf 'DNS:%s,' "$@")
printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n' "${names%,}" > leaf.ext
openssl req -new -key "$archive/privkey$number.pem" -subj "/CN=$1" -out leaf.csr
openssl x509 -req -in leaf.csr -CA between.pem -CAkey between.key -CAcreateserial -days "$days" -extfile leaf.ext -out "$archive/cert$number.pem" 2>/dev/null
cp between.pem "$archive/chain$number.pem"
cat "$archive/cert$number.pem" between.pem > "$archive/fullchain$number.pem"
chmod 600 "$archive/privkey$number.pem"
for each in cert chain fullchain privkey; do ln -sfn "../../archive/$1/$each$number.pem" "$live/$each.pem"; done
ISSUE
chmod 755 /usr/local/sbin/issue
issue 1 80 shop.example www.shop.example
issue 1 85 blog.example
printf 'This directory contains your keys and certificates.\n' > /etc/letsencrypt/live/README
chmod 700 /etc/letsencrypt/live /etc/letsencrypt/archive
printf '#!/bin/sh\nexit 0\n' > /usr/bin/certbot
chmod 755 /usr/bin/certbot
systemctl enable -q certbot.timer
mkdir -p /var/log/letsencrypt
printf '%s,000:DEBUG:certbot._internal.main:certbot version: 2.1.0\n' "$(date -d '-3 hours' '+%F %T')" > /var/log/letsencrypt/letsencrypt.log
touch -d '-3 hours' /var/log/letsencrypt/letsencrypt.log
