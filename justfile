# Short words for daily work. `just` is a convenience: ./ringfence and .ci/run need none of it.

# list the recipes
default:
    @just --list

# compile everything, tests too, without running any of it
check:
    cargo check --locked --workspace --all-targets

# format the sources
fmt:
    cargo fmt --all

# what clippy says, warnings denied
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# every test, or those of a package: just test -p dialer-sip
test *arguments:
    ./ringfence test --yes {{arguments}}

# the seeded simulator alone
sim *arguments:
    cargo test --locked -p dialer-sim {{arguments}}

# the model of the gate's protocol alone: just model --ignored for the larger explorations
model *arguments:
    cargo test --locked -p dialer-model --test gate -- --nocapture {{arguments}}

# the architecture test alone
architecture:
    cargo test --locked -p loadtest --test architecture

# a campaign against the simulated carrier
demo *arguments:
    ./ringfence demo {{arguments}}

# bans, licences and sources of the dependencies
deny:
    cargo deny --locked check bans licenses sources

# the documentation of our own crates
doc:
    cargo doc --locked --workspace --no-deps

# the shell scripts
shell:
    shellcheck -x ringfence .ci/run .ci/lib/setup.sh .ci/lib/install-packages helm/trial/healthy helm/trial/secrets helm/trial/roles.sh helm/trial/migrate.sh

# everything that decides whether a change may go in
ci:
    .ci/run
