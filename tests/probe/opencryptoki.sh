#!/usr/bin/env bash
# opencryptoki's soft token with CKM_RSA_AES_KEY_WRAP, which Debian 12 has not, in a chroot of Debian forky, for root: makes the chroot ROOT where
# it is missing, starts the daemon in namespaces of its own, makes the tokens "tenant" and "hoster" anew, and says the process whose namespaces these
# are. FOLDERs of this machine are there too. All of it ends when standard input does.
#   tests/probe/opencryptoki.sh ROOT SO-PIN PIN FOLDER...
set -euo pipefail
root=$1 so_pin=$2 pin=$3 folders=("${@:4}")

if [ ! -e "$root" ]; then
    mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources | head -n 1)
    # The suite moves on: its Release file may be called expired.
    mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --include=opencryptoki \
        forky "$root.new" "deb $mirror forky main" >&2
    mv "$root.new" "$root"
fi
printf 'version opencryptoki-3.27\nslot 3\n{\nstdll = libpkcs11_sw.so\ntokname = tenant\n}\nslot 4\n{\nstdll = libpkcs11_sw.so\ntokname = hoster\n}\n' \
    > "$root/etc/opencryptoki/opencryptoki.conf"

inside() {
    local folder
    for folder in "${folders[@]}"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    for folder in dev/shm run var/lib/opencryptoki; do mount -t tmpfs tmpfs "$root/$folder"; done
    export so_pin pin
    # shellcheck disable=SC2016 # expanded in there
    chroot "$root" bash -euc '
        usermod -aG pkcs11 root
        mkdir -p /run/lock
        for token in tenant hoster; do
            mkdir -p "/var/lib/opencryptoki/$token/TOK_OBJ" "/var/lock/opencryptoki/$token"
        done
        chgrp -R pkcs11 /var/lib/opencryptoki /var/lock/opencryptoki
        chmod -R 770 /var/lib/opencryptoki /var/lock/opencryptoki
        pkcsslotd -f > /var/log/pkcsslotd 2>&1 < /dev/null &
        until pkcsconf -t > /dev/null 2>&1; do sleep 0.2; done
        for slot in 3 4; do
            label=tenant
            [ "$slot" = 3 ] || label=hoster
            {
                printf "87654321\n%s\n" "$label" | pkcsconf -I -c "$slot"
                pkcsconf -P -c "$slot" -S 87654321 -n "$so_pin"
                pkcsconf -u -c "$slot" -S "$so_pin" -n 11111111
                pkcsconf -p -c "$slot" -U 11111111 -n "$pin"
            } > /dev/null
        done
    '
    echo ready
    cat
}
export -f inside
export root so_pin pin
unshare --mount --pid --fork --kill-child bash -euc 'folders=("$@"); inside' inside "${folders[@]}" | {
    read -r ready
    # The child of `unshare` is the first process of its namespaces.
    [ "$ready" = ready ] && pgrep -P "$(pgrep -P $$ unshare)"
    cat
}
