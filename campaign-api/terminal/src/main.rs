//! `ringfence-terminal`: daily work over the HTTP API, on the terminal. `./ringfence campaign ...`
//! and its like come here. Links nothing of the house but its words: what it knows comes by HTTP.

#![allow(
    clippy::indexing_slicing,
    reason = "JSON values are read by name: null where there is none"
)]

mod api;
mod arguments;
mod commands;
mod config;
mod desk;
mod early;
mod find;
mod page;
mod trouble;
mod usage;
mod words;

use std::{io::Write as _, process::ExitCode};

use arguments::Arguments;
use clap::Parser as _;
use desk::print_error;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let tongue = config::tongue(usage::asked_language().as_deref());
            return ExitCode::from(usage::complain(&error, tongue));
        }
    };
    let tongue = config::tongue(arguments.global.language.as_deref());
    match commands::run(&arguments, tongue) {
        Ok(code) => {
            // A full disk behind `> file` must not look like success; a closed pipe may.
            match std::io::stdout().flush() {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(5),
                _ => ExitCode::from(code),
            }
        }
        Err(trouble) => {
            print_error(&trouble, &arguments.global, tongue);
            ExitCode::from(trouble.exit_code())
        }
    }
}
