# Sourced by ../../ringfence and ../run: finds what the machine lacks, says it, asks, installs it.
# shellcheck shell=bash
# Gives ensure_tools, ensure_cargo_deny, postgres_bin. Expects the checkout's folder and the two flags:
: "${root:?}" "${assume_yes:?}" "${dry_run:?}"

readonly pg_oldest=15 redis_oldest=7
readonly cargo_deny_version=0.20.2
readonly tools_root=${XDG_CACHE_HOME:-$HOME/.cache}/ringfence/tools

say() { printf 'ringfence: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# version_at_least FOUND WANTED
version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

pinned_rust() { sed -n 's/^channel *= *"\(.*\)"$/\1/p' "$root/rust-toolchain.toml"; }

# Debian keeps the server's programs off PATH, one folder a version. Prints the newest that is new enough.
postgres_bin() {
    local dir version
    for dir in /usr/lib/postgresql/*/bin; do
        [[ -x $dir/postgres && -x $dir/initdb ]] || continue
        version=$("$dir/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        if [[ $version -ge $pg_oldest ]]; then printf '%s %s\n' "$version" "$dir"; fi
    done | sort -rn | sed -n '1s/^[0-9]* //p'
}

redis_version() { have redis-server && redis-server --version | sed 's/.* v=\([0-9.]*\).*/\1/'; }

# missing_packages full|build: what apt has to bring, judged by the programs and not by package names.
missing_packages() {
    have cc || echo gcc
    [[ -e /usr/include/stdio.h ]] || echo libc6-dev
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
    rust_is_here || have rustup || have curl || echo curl
    [[ $1 == full ]] || return 0
    [[ -n $(postgres_bin) ]] || echo postgresql
    have redis-server || echo redis-server
    have sipp || echo sip-tester
    { have prometheus && have promtool; } || echo prometheus
    have_faketime || echo libfaketime
}

# The library that steps the wall clock of one program (loadtest chaos); the same places as there.
have_faketime() { compgen -G '/usr/lib/*-linux-gnu/faketime/libfaketimeMT.so.1' >/dev/null; }

# A rustup with the pinned toolchain, or a cargo of another origin that is new enough.
rust_is_here() {
    local wanted found
    wanted=$(pinned_rust)
    if have rustup; then
        rustup toolchain list 2>/dev/null | grep -q "^$wanted-"
    elif have cargo; then
        found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
        version_at_least "${found:-0}" "$wanted"
    else
        false
    fi
}

# ensure_tools full|build: says what is missing, asks, installs. `full` adds the servers, SIPp, Prometheus and libfaketime.
ensure_tools() {
    local packages rust=''
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/sbin:/sbin
    [[ $dry_run == yes ]] || repair_killed_install
    mapfile -t packages < <(missing_packages "$1")
    rust_is_here || rust=$(pinned_rust)
    if [[ ${#packages[@]} -gt 0 || -n $rust ]]; then
        say "this machine lacks some of what Ringfence needs. To be installed:"
        [[ ${#packages[@]} -eq 0 ]] ||
            say "  packages: ${packages[*]} (apt-get, as root; no system service is left running or enabled)"
        [[ -z $rust ]] ||
            say "  Rust $rust with rustup, into ${CARGO_HOME:-~/.cargo} and ${RUSTUP_HOME:-~/.rustup} (PATH stays)"
        if [[ $dry_run == yes ]]; then
            say "dry run: nothing was installed"
            exit 0
        fi
        confirm
        [[ ${#packages[@]} -eq 0 ]] || install_packages "${packages[@]}"
        [[ -z $rust ]] || install_rust "$rust"
    elif [[ $dry_run == yes ]]; then
        say "dry run: nothing is missing"
        exit 0
    fi
    [[ $1 != full ]] || check_servers
}

confirm() {
    local answer
    [[ $assume_yes == yes || ! -t 0 ]] && return
    read -r -p 'ringfence: install them? [Y/n] ' answer
    [[ -z $answer || $answer == [yY]* ]] || die "nothing was installed"
}

install_packages() {
    have apt-get || die "apt-get is not here. Ringfence sets itself up on Debian 12 and Ubuntu 24.04; elsewhere install
these by hand: PostgreSQL $pg_oldest or newer, Redis $redis_oldest or newer, SIPp, Prometheus, libfaketime, a C compiler, curl"
    install_packages_as_root "$@" || die "the packages could not be installed"
    hash -r
}

install_packages_as_root() {
    if [[ $EUID == 0 ]]; then
        "$root/.ci/lib/install-packages" "$@"
    elif have sudo; then
        sudo -- "$root/.ci/lib/install-packages" "$@"
    else
        die "no root and no sudo. Run this as root, then start again: $root/.ci/lib/install-packages $*"
    fi
}

# An installation that was killed has left services forbidden to start; what it displaced goes back.
repair_killed_install() {
    grep -qsF '# ringfence: in place only' /usr/sbin/policy-rc.d || return 0
    say "an earlier installation was cut short; putting /usr/sbin/policy-rc.d back as it was"
    install_packages_as_root || die "could not put /usr/sbin/policy-rc.d back"
}

install_rust() {
    local wanted=$1
    have rustup || install_rustup
    say "installing Rust $wanted"
    rustup toolchain install "$wanted" --no-self-update --profile minimal \
        --component rustfmt --component clippy >&2 ||
        die "could not fetch Rust $wanted from https://static.rust-lang.org (see above)"
    rust_is_here || die "Rust $wanted was installed but rustup does not list it"
}

install_rustup() {
    local folder base sum
    folder=$(mktemp -d)
    base=https://static.rust-lang.org/rustup/dist/$(uname -m)-unknown-linux-gnu/rustup-init
    # The subshell's trap clears the folder whatever happens in it.
    (
        trap 'rm -rf "$folder"' EXIT
        for file in "" .sha256; do
            curl --proto '=https' --tlsv1.2 -sSfL --retry 3 --connect-timeout 20 \
                -o "$folder/rustup-init$file" "$base$file" ||
                die "could not fetch $base$file. Rust is needed: come online, or bring it by hand (https://rustup.rs)"
        done
        sum=$(cut -d ' ' -f 1 "$folder/rustup-init.sha256")
        echo "$sum  $folder/rustup-init" | sha256sum --check --status ||
            die "$base does not have the checksum that $base.sha256 states; not run"
        chmod +x "$folder/rustup-init"
        RUSTUP_INIT_SKIP_PATH_CHECK=yes "$folder/rustup-init" -y --quiet --no-modify-path --profile minimal \
            --default-toolchain none >"$folder/log" 2>&1 ||
            { cat "$folder/log" >&2; die "rustup-init failed (see above)"; }
    ) || exit 1
    hash -r
}

check_servers() {
    local redis
    [[ -n $(postgres_bin) ]] || die "no PostgreSQL $pg_oldest or newer in /usr/lib/postgresql/*/bin"
    redis=$(redis_version) || die "redis-server is not on PATH"
    version_at_least "$redis" "$redis_oldest" || die "redis-server is $redis; $redis_oldest or newer is needed"
    have sipp || die "sipp (package sip-tester) is not on PATH"
    { have prometheus && have promtool; } || die "prometheus and promtool (package prometheus) are not on PATH"
    have_faketime || die "libfaketime (package libfaketime) is not in /usr/lib/*-linux-gnu/faketime"
    # PostgreSQL refuses to run as root; the stack then runs it as this user, which its package makes.
    [[ $EUID != 0 ]] || id postgres >/dev/null 2>&1 ||
        die "started as root, and there is no user 'postgres' to run PostgreSQL as: start as an ordinary user"
}

# Prints the path of a cargo-deny of the pinned version; compiles it into a folder of our own where it is missing.
ensure_cargo_deny() {
    local candidate
    for candidate in "$(command -v cargo-deny || true)" "$tools_root/bin/cargo-deny"; do
        if [[ -x $candidate && $("$candidate" --version) == "cargo-deny $cargo_deny_version" ]]; then
            echo "$candidate"
            return
        fi
    done
    # Unoptimised: it reads one lock file, and optimising it would take longer than the reading.
    say "compiling cargo-deny $cargo_deny_version into $tools_root (some minutes, once)"
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --debug --root "$tools_root" \
        --version "$cargo_deny_version" cargo-deny >&2 ||
        die "could not build cargo-deny $cargo_deny_version from crates.io (see above)"
    echo "$tools_root/bin/cargo-deny"
}
