//! Completion by the shell. People type `./ringfence`, so the other words of that script are
//! completed too.

use std::io::{self, IsTerminal as _};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use dialer_types::say;

use crate::{arguments::Arguments, desk::print, trouble::Trouble, words::Tongue};

/// What `./ringfence` knows besides our words, and to whom it passes it.
const OTHERS: [(&str, &str); 12] = [
    ("demo", "Run a campaign against a simulated carrier, and check it"),
    ("try", "A private Ringfence to work with by hand"),
    ("test", "Run every test"),
    ("audit", "Verify an export, tell the story of an attempt"),
    ("policy", "Judge cases by the rule packs"),
    ("lists", "National lists"),
    ("carrier", "The simulated carrier"),
    ("check", "The independent checker"),
    ("bench", "Benches"),
    ("dialer", "The dialing process"),
    ("campaign-api", "The API, its migrations and its keys"),
    ("setup", "Install what is missing"),
];

pub(crate) fn run(shell: Shell, tongue: Tongue) -> Result<(), Trouble> {
    let mut command = OTHERS.iter().fold(Arguments::command(), |command, (word, about)| {
        command.subcommand(Command::new(*word).about(*about))
    });
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "ringfence", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    // A person who looks at the script wants to know what to do with it.
    if io::stdout().is_terminal() {
        let hint = match shell {
            Shell::Zsh => say!(
                "# to keep it: ./ringfence completion zsh > \"$HOME/.zfunc/_ringfence\", with fpath+=~/.zfunc before compinit in ~/.zshrc"
            ),
            Shell::Fish => say!(
                "# to keep it: ./ringfence completion fish > ~/.config/fish/completions/ringfence.fish"
            ),
            _ => say!(
                "# to keep it: ./ringfence completion bash > ~/.local/share/bash-completion/completions/ringfence"
            ),
        };
        print(&format!("\n{}\n", tongue.tell(&hint)))?;
    }
    Ok(())
}
