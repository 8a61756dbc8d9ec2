//! The words of the command line.

pub(crate) mod supplied;
mod values;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use values::{
    column, dispositions, known_language, known_zone, purposes, retry, seconds, technologies,
};

/// Daily work with Ringfence: campaigns, lists, opt-outs and consents, and why somebody is or is not called.
#[derive(Debug, Parser)]
#[command(
    name = "ringfence",
    version,
    after_help = "Exit codes: 0 done, 1 the API refused or took no row, 2 the command line, 3 the API cannot be reached or failed, 4 the key is not accepted or its role may not, 5 a local file, 6 a watched campaign stalled.\nSettings: RINGFENCE_API, RINGFENCE_KEY or RINGFENCE_KEY_FILE, LANG (zh_CN for Chinese), TZ (Asia/Shanghai), NO_COLOR; or once: ./ringfence login."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) word: Word,
}

/// Flags of every command.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Global {
    /// Address of the API, like http://127.0.0.1:8080 [env: RINGFENCE_API]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub(crate) api: Option<String>,
    /// File that holds your API key [env: RINGFENCE_KEY_FILE; or the key itself in RINGFENCE_KEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) key_file: Option<PathBuf>,
    /// Language of tables and messages: en or zh [default: by LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, global = true, value_name = "LANGUAGE", value_parser = known_language, help_heading = "Everywhere")]
    pub(crate) language: Option<String>,
    /// Show moments in this zone, like Asia/Shanghai [default: TZ, else UTC]
    #[arg(long, global = true, value_name = "ZONE", value_parser = known_zone, help_heading = "Everywhere")]
    pub(crate) zone: Option<String>,
    /// The API's JSON on stdout, errors as problem JSON on stderr
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Word {
    /// Make, run and watch campaigns
    #[command(subcommand)]
    Campaign(Campaign),
    /// Import contact lists, and see what became of them
    #[command(subcommand)]
    List(List),
    /// The people of a campaign and what each waits for
    #[command(subcommand)]
    Contact(Contact),
    /// Do not call a number or a person any more (or lift such an entry)
    Suppress(Suppress),
    /// The do-not-call entries of somebody: what stands, and what lifts it
    Suppressions(Suppressions),
    /// Record a consent, or take it back
    #[command(subcommand)]
    Consent(Consent),
    /// When a person wants no calls, as the person said
    #[command(subcommand)]
    Wishes(supplied::Wishes),
    /// What look-ups of a number said: changed hands, kind of line
    #[command(subcommand)]
    Checks(supplied::Checks),
    /// Licences, registrations, approvals and certificates of a seller
    #[command(subcommand)]
    Licences(supplied::Licences),
    /// Counts over all persons that a seller calls
    #[command(subcommand)]
    Counters(supplied::Counters),
    /// Why somebody may or may not be called, and from when on
    Why(Why),
    /// What was placed and how it ended
    #[command(args_conflicts_with_subcommands = true)]
    Attempts(Attempts),
    /// Record calls made elsewhere, so that the caps count them
    #[command(subcommand)]
    Earlier(Earlier),
    /// Save the audit, whole or in part, to verify it offline
    Export(Export),
    /// On whose behalf calls are made
    #[command(subcommand)]
    Seller(Seller),
    /// Where calls leave
    #[command(subcommand)]
    Trunk(Trunk),
    /// Keep the API's address and the place of your key
    Login,
    /// Completion of these words by your shell: ./ringfence completion bash
    Completion {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Campaign {
    /// Make a campaign, as a draft
    Create(Box<NewCampaign>),
    /// Every campaign
    List,
    /// One campaign: where its contacts are, what became of its attempts
    Show(Named),
    /// How many can be called now, later, never; and what would unlock how many
    Summary(Named),
    /// Dry run: in each hour of the next seven days how many may be called, and why not the others
    Forecast(Forecast),
    /// Set it going
    Start(Named),
    /// Halt it; what is due stays due
    Pause(Named),
    /// Stop it; it can be started again
    Stop(Named),
    /// Follow it until it has ended, is paused or stalls
    Watch(Watch),
}

/// A campaign, by name or id.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name or ULID, or the beginning of one
    pub(crate) campaign: String,
}

#[derive(Debug, Args)]
pub(crate) struct Forecast {
    /// Name or ULID, or the beginning of one
    pub(crate) campaign: String,
    /// Only the contacts of this list (ULID)
    #[arg(long)]
    pub(crate) list: Option<String>,
    /// Every hour in a line of its own
    #[arg(long)]
    pub(crate) hours: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Name or ULID, or the beginning of one
    pub(crate) campaign: String,
    /// Look once and be done
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds between looks
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: u64,
}

#[derive(Debug, Args)]
pub(crate) struct NewCampaign {
    /// Its name, unique within the seller
    pub(crate) name: String,
    /// On whose behalf: name or ULID
    #[arg(long)]
    pub(crate) seller: String,
    /// Why calls are made
    #[arg(long, value_parser = purposes())]
    pub(crate) purpose: String,
    /// How calls are made
    #[arg(long, value_parser = technologies())]
    pub(crate) technology: String,
    /// The seller's own number, shown to the called party: +13055550100
    #[arg(long)]
    pub(crate) caller_id: String,
    /// What the prompt says: identity,purpose_statement,callback_number
    #[arg(long, value_delimiter = ',')]
    pub(crate) announces: Vec<String>,
    /// WAV file in the dialer's prompt folder
    #[arg(long, required_unless_present = "by_permits")]
    pub(crate) prompt: Option<String>,
    /// A dialer that is not Ringfence's calls, by permits (docs/permits.md): no prompt, no trunk
    #[arg(long, conflicts_with_all = ["prompt", "trunk"])]
    pub(crate) by_permits: bool,
    /// Trunk to use: name or ULID; several times for several
    #[arg(long)]
    pub(crate) trunk: Vec<String>,
    /// New calls a second, at most
    #[arg(long, default_value_t = 1.0)]
    pub(crate) calls_per_second: f64,
    /// Calls at the same time, at most
    #[arg(long, default_value_t = 10)]
    pub(crate) max_concurrent: i32,
    /// Attempts per contact, at most
    #[arg(long, default_value_t = 3)]
    pub(crate) max_tries: i16,
    /// How long it rings
    #[arg(long, default_value = "30s", value_parser = seconds)]
    pub(crate) ring_timeout: i64,
    /// Try again after a disposition: busy=10m; several times for several. One that is not named is not tried again
    #[arg(long, value_name = "DISPOSITION=TIME", value_parser = retry)]
    pub(crate) retry: Vec<(String, i64)>,
}

/// How a file is to be read. What is not given is guessed.
#[derive(Debug, Default, Args)]
pub(crate) struct Reading {
    /// Region of numbers without a country code: US, CN, DE ...
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// utf-8, utf-16le, gbk, windows-1252 ...
    #[arg(long)]
    pub(crate) encoding: Option<String>,
    /// `,` `;` `|` or tab
    #[arg(long)]
    pub(crate) delimiter: Option<String>,
    /// What a column is: 'Their header=phone_1' (own: kept as it is, -: left out); several times for several
    #[arg(long, value_name = "HEADER=FIELD", value_parser = column)]
    pub(crate) column: Vec<(String, String)>,
    /// No column names the person: the first number does
    #[arg(long)]
    pub(crate) identify_by_number: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum List {
    /// Import a file into a campaign; good rows are kept whatever else is wrong
    Import {
        /// CSV, as Excel or a CRM writes it
        file: PathBuf,
        /// Into which campaign: name or ULID
        #[arg(long)]
        campaign: String,
        /// Name of the list [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        reading: Reading,
    },
    /// How a file would be read, before anything is stored
    Preview {
        /// CSV, as Excel or a CRM writes it
        file: PathBuf,
        /// For which campaign: tells who is in it already
        #[arg(long)]
        campaign: Option<String>,
        #[command(flatten)]
        reading: Reading,
    },
    /// The lists of a campaign, the latest first
    #[command(name = "list")]
    All {
        /// Of which campaign: name or ULID
        #[arg(long)]
        campaign: String,
    },
    /// One list: rows, imported, rejected, duplicates
    Show {
        /// ULID of the list
        list: String,
    },
    /// Every row that was not taken or was repaired, and why
    Faults {
        /// ULID of the list
        list: String,
        /// Which rows
        #[arg(long, default_value = "all", value_parser = ["rejected", "repaired", "duplicate", "all"])]
        about: String,
        /// Save the report here (CSV) instead of showing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Of this list: callable now, later, never; and what would unlock how many
    Summary {
        /// ULID of the list
        list: String,
    },
    /// The header line of a list, to begin one with
    Template,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Contact {
    /// The contacts of a campaign
    List {
        /// Name or ULID
        #[arg(long)]
        campaign: String,
        /// Only those in this state
        #[arg(long, value_parser = ["waiting", "due", "leased", "parked", "finished"])]
        state: Option<String>,
        /// Only those parked for this: consent, address ...
        #[arg(long)]
        cause: Option<String>,
        #[command(flatten)]
        part: Part,
    },
}

/// Which part of a long answer.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// Rows, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(crate) limit: i64,
    /// Go on after this row: what the page before named
    #[arg(long)]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").args(["number", "person"]).multiple(true).required(true))]
pub(crate) struct Suppress {
    /// Number, as people write it: +1 305 555 0123
    pub(crate) number: Option<String>,
    /// Of which country the number is, if it stands without its country code: US
    #[arg(long, requires = "number")]
    pub(crate) region: Option<String>,
    /// The seller's own id of a person: the person with every number of theirs
    #[arg(long, requires = "seller")]
    pub(crate) person: Option<String>,
    /// Why, in words; it goes on record
    #[arg(long)]
    pub(crate) reason: String,
    /// For this seller only: name or ULID
    #[arg(long, conflicts_with = "everyone")]
    pub(crate) seller: Option<String>,
    /// For every seller (the default)
    #[arg(long)]
    pub(crate) everyone: bool,
    /// For calls of this purpose only; calls for another one go on [default: every call]
    #[arg(long, value_parser = purposes())]
    pub(crate) purpose: Option<String>,
    /// Withdraw the entry of the same seller and purpose instead
    #[arg(long)]
    pub(crate) lift: bool,
    /// Since when, RFC 3339 [default: now]
    #[arg(long)]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").args(["number", "person"]).required(true))]
pub(crate) struct Suppressions {
    /// Number, as people write it: +1 305 555 0123
    pub(crate) number: Option<String>,
    /// Of which country the number is, if it stands without its country code: US
    #[arg(long, requires = "number")]
    pub(crate) region: Option<String>,
    /// The seller's own id of a person: the person with every number of theirs
    #[arg(long, requires = "seller")]
    pub(crate) person: Option<String>,
    /// Only what binds this seller: name or ULID
    #[arg(long)]
    pub(crate) seller: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Consent {
    /// A person agreed to be called
    Grant(ConsentEvent),
    /// A person took the consent back
    Revoke(ConsentEvent),
}

#[derive(Debug, Args)]
pub(crate) struct ConsentEvent {
    /// Only for this number; without one: for every number of the person
    pub(crate) number: Option<String>,
    /// The seller's own id of the person
    #[arg(long)]
    pub(crate) person: String,
    /// To whom: name or ULID
    #[arg(long)]
    pub(crate) seller: String,
    /// How it was given
    #[arg(long, value_parser = ["prior_express", "prior_express_written", "opt_in"], default_value = "prior_express")]
    pub(crate) form: String,
    /// For which purpose
    #[arg(long, value_parser = purposes())]
    pub(crate) purpose: String,
    /// For which technology only
    #[arg(long, value_parser = technologies())]
    pub(crate) technology: Option<String>,
    /// Where the evidence is kept, in words; it goes on record
    #[arg(long)]
    pub(crate) source: String,
    /// When, RFC 3339 [default: now]
    #[arg(long)]
    pub(crate) at: Option<String>,
    /// The very words that the person agreed to
    #[arg(long)]
    pub(crate) wording: Option<String>,
    /// The way it was given: web form, paper, recorded call
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// A do-not-call entry that it lifts, for calls of this seller and purpose only; again for
    /// another one. './ringfence suppressions' lists them. Needs --wording, and compliance
    #[arg(long, value_name = "EVENT", requires = "wording")]
    pub(crate) lifts: Vec<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").args(["number", "person", "contact"]).required(true))]
pub(crate) struct Why {
    /// Number, as people write it: +1 305 555 0123
    pub(crate) number: Option<String>,
    /// Of which country the number is, if it stands without its country code: US
    #[arg(long, requires = "number")]
    pub(crate) region: Option<String>,
    /// The seller's own id of the person
    #[arg(long)]
    pub(crate) person: Option<String>,
    /// ULID of a contact
    #[arg(long)]
    pub(crate) contact: Option<String>,
    /// In which campaign: name or ULID
    #[arg(long)]
    pub(crate) campaign: String,
}

#[derive(Debug, Args)]
pub(crate) struct Attempts {
    #[command(subcommand)]
    pub(crate) word: Option<AttemptWord>,
    #[command(flatten)]
    pub(crate) which: AttemptsOf,
}

#[derive(Debug, Args)]
pub(crate) struct AttemptsOf {
    /// Only of this campaign: name or ULID
    #[arg(long)]
    pub(crate) campaign: Option<String>,
    /// Only of this person: the seller's own id
    #[arg(long)]
    pub(crate) person: Option<String>,
    /// Only to this number
    #[arg(long)]
    pub(crate) number: Option<String>,
    /// Only on this contact (ULID)
    #[arg(long)]
    pub(crate) contact: Option<String>,
    /// Not before this moment, RFC 3339
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Before this moment, RFC 3339
    #[arg(long)]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) part: Part,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AttemptWord {
    /// One attempt with its evidence
    Show {
        /// Contact ULID, '-', number of the try: as `attempts` lists it
        attempt: String,
        /// The whole story in one page of text
        #[arg(long)]
        story: bool,
    },
    /// Correct how an attempt ended; both versions stay on record
    Correct {
        /// As `attempts` lists it
        attempt: String,
        /// How it really ended
        #[arg(value_parser = dispositions())]
        disposition: String,
        /// Why, in words; it goes on record: no numbers and no names
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Earlier {
    /// Record attempts made elsewhere and conversations people began
    Import {
        /// CSV with the columns seller,number,person,account,at,outcome,purpose,technology,inbound
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Not before this moment, RFC 3339
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Before this moment, RFC 3339
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Only of this campaign: name or ULID
    #[arg(long)]
    pub(crate) campaign: Option<String>,
    /// Only about this number
    #[arg(long)]
    pub(crate) number: Option<String>,
    /// Only about this person: the seller's own id
    #[arg(long)]
    pub(crate) person: Option<String>,
    /// Only where this rule denied
    #[arg(long)]
    pub(crate) rule: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Seller {
    /// Make a seller
    Create {
        /// Its name
        name: String,
    },
    /// Every seller
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trunk {
    /// Make a trunk
    Create {
        /// Its name
        name: String,
        /// host:port of the next hop (UDP)
        #[arg(long)]
        address: String,
        /// For digest authentication
        #[arg(long)]
        username: Option<String>,
        /// File that holds the password, alone on its first line
        #[arg(long, requires = "username")]
        password_file: Option<PathBuf>,
        /// New calls a second, at most
        #[arg(long)]
        calls_per_second: f64,
        /// Calls at the same time, at most
        #[arg(long)]
        max_concurrent: i32,
    },
    /// Every trunk and how it is
    List,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn why_asks_for_exactly_one_of_number_person_and_contact() {
        let read = |words: &[&str]| Arguments::try_parse_from(words).is_ok();
        assert!(read(&["ringfence", "why", "+13055550123", "--campaign", "c"]));
        assert!(read(&["ringfence", "why", "--person", "p", "--campaign", "c"]));
        assert!(!read(&["ringfence", "why", "--campaign", "c"]));
        assert!(!read(&["ringfence", "why", "+1305", "--person", "p", "--campaign", "c"]));
        assert!(read(&["ringfence", "attempts"]));
        assert!(read(&["ringfence", "attempts", "show", "x-1"]));
        assert!(!read(&["ringfence", "suppress", "--reason", "asked"]));
        assert!(!read(&["ringfence", "suppress", "--person", "p", "--reason", "asked"]));
    }
}
