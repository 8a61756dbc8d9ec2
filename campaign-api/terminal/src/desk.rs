//! What a command works with: the API, the paper, and where its words go.

use std::io::{self, IsTerminal as _, Write as _};

use dialer_types::Say;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::{
    api::{Answer, Api},
    arguments::Global,
    config,
    page::Page,
    trouble::Trouble,
    words::Tongue,
};

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) api: Api,
    pub(crate) page: Page,
    pub(crate) json: bool,
}

impl Desk {
    pub(crate) fn open(global: &Global, tongue: Tongue) -> Result<Self, Trouble> {
        let api = Api::new(config::access(global)?, tongue);
        Ok(Self { api, page: config::page(global, tongue, false), json: global.json })
    }

    /// The answer: as it came for scripts, laid out for people.
    pub(crate) fn show(
        &self,
        answer: &Answer,
        render: impl FnOnce(&Page, &Value) -> String,
    ) -> Result<(), Trouble> {
        if self.json {
            return print(&format!("{}\n", answer.text.trim_end()));
        }
        print(&render(&self.page, &answer.value))
    }

    /// A sentence for people only.
    pub(crate) fn tell(&self, say: &Say) -> Result<(), Trouble> {
        if self.json { Ok(()) } else { print(&format!("{}\n", self.page.tell(say))) }
    }

    /// A bar on stderr; hidden where nobody looks at one.
    pub(crate) fn bar(&self, length: u64, template: &str) -> ProgressBar {
        if self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        ProgressBar::new(length).with_style(style)
    }
}

/// To stdout; `println!` would panic when nobody reads.
pub(crate) fn print(text: &str) -> Result<(), Trouble> {
    match write!(io::stdout().lock(), "{text}").and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Trouble::Unread),
        Err(error) => Err(Trouble::File { path: "stdout".to_owned(), reason: error.to_string() }),
    }
}

/// To stderr: where nobody reads there is nobody to tell.
pub(crate) fn print_error(trouble: &Trouble, global: &Global, tongue: Tongue) {
    let page = config::page(global, tongue, true);
    let text =
        if global.json { format!("{}\n", trouble.json(&page)) } else { trouble.render(&page) };
    if !matches!(trouble, Trouble::Unread) {
        io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
    }
}
