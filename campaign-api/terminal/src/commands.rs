//! One module a noun; here each word finds its own.

mod attempts;
mod campaigns;
mod completion;
mod export;
mod facts;
mod forecast;
mod lists;
mod login;
mod opt_outs;
mod supplied;
mod suppressions;
mod trunks;
mod watch;
mod why;

use crate::{
    arguments::{Arguments, Word},
    desk::Desk,
    trouble::{DONE, Trouble},
    words::Tongue,
};

/// Does it; gives the exit code.
pub(crate) fn run(arguments: &Arguments, tongue: Tongue) -> Result<u8, Trouble> {
    let desk = match &arguments.word {
        Word::Completion { shell } => return completion::run(*shell, tongue).map(|()| DONE),
        Word::Login => return login::run(&arguments.global, tongue).map(|()| DONE),
        _ => Desk::open(&arguments.global, tongue)?,
    };
    match &arguments.word {
        Word::Campaign(word) => return campaigns::run(&desk, word),
        Word::List(word) => return lists::run(&desk, word),
        Word::Contact(word) => facts::contacts(&desk, word),
        Word::Suppress(entry) => opt_outs::suppress(&desk, entry),
        Word::Suppressions(whose) => suppressions::run(&desk, whose),
        Word::Consent(word) => opt_outs::consent(&desk, word),
        Word::Wishes(word) => supplied::wishes(&desk, word),
        Word::Checks(word) => supplied::checks(&desk, word),
        Word::Licences(word) => supplied::licences(&desk, word),
        Word::Counters(word) => supplied::counters(&desk, word),
        Word::Why(asked) => why::run(&desk, asked),
        Word::Attempts(asked) => attempts::run(&desk, asked),
        Word::Earlier(word) => return facts::earlier(&desk, word),
        Word::Export(asked) => export::run(&desk, asked),
        Word::Seller(word) => trunks::sellers(&desk, word),
        Word::Trunk(word) => trunks::run(&desk, word),
        Word::Login | Word::Completion { .. } => Ok(()),
    }
    .map(|()| DONE)
}
