//! The words for facts that somebody looked up, wrote down or counted.

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Wishes {
    /// Write down at which times the person wants no calls, in place of all that was said before
    #[command(group = ArgGroup::new("when").args(["block", "none"]).multiple(false).required(true))]
    Set {
        /// The seller's own id of the person
        #[arg(long)]
        person: String,
        /// Who was told: name or ULID
        #[arg(long)]
        seller: String,
        /// A time without calls: 'mon,tue 09:00-17:00', 'daily 22:00-08:00', 2026-12-24..2026-12-26 or always; several times for several
        #[arg(long, value_name = "TIME")]
        block: Vec<String>,
        /// The person was asked, and blocks no time
        #[arg(long)]
        none: bool,
        /// Where the evidence is kept, in words; it goes on record
        #[arg(long)]
        source: String,
        /// When it was said, RFC 3339 [default: now]
        #[arg(long)]
        at: Option<String>,
    },
    /// What the person said, the last first
    Show {
        /// The seller's own id of the person
        #[arg(long)]
        person: String,
        /// Of which seller: name or ULID
        #[arg(long)]
        seller: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Checks {
    /// What a database of reassigned numbers said about a number
    Reassigned {
        /// Number, as people write it: +1 305 555 0123
        number: String,
        /// Whether it has changed hands since the consent or the last contact
        #[arg(value_parser = ["no", "yes", "no_data"])]
        answer: String,
        /// Whose consent or contact it was asked about: name or ULID
        #[arg(long)]
        seller: String,
        /// Which database was asked, as rules name it
        #[arg(long, default_value = "us.rnd")]
        database: String,
        #[command(flatten)]
        of: CheckOf,
    },
    /// What a look-up said about the line of a number
    Line {
        /// Number, as people write it: +1 305 555 0123
        number: String,
        /// What kind of line it is
        #[arg(value_parser = ["wireless", "landline", "voip", "unknown"])]
        line: String,
        /// Whose line it is
        #[arg(long, default_value = "ordinary", value_parser = ["ordinary", "emergency", "hospital", "paging", "charged"])]
        class: String,
        /// For this seller only: name or ULID [default: for every seller]
        #[arg(long)]
        seller: Option<String>,
        #[command(flatten)]
        of: CheckOf,
    },
    /// What is on record of a number, the newest answer first
    List {
        /// Number, as people write it: +1 305 555 0123
        number: String,
        /// Of which country the number is, if it stands without its country code: US
        #[arg(long)]
        region: Option<String>,
        /// What counts for this seller: name or ULID
        #[arg(long)]
        seller: Option<String>,
    },
}

/// What every look-up has.
#[derive(Debug, Args)]
pub(crate) struct CheckOf {
    /// Of which day (UTC) the answer is: 2026-12-01
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: String,
    /// Of which country the number is, if it stands without its country code: US
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Where the evidence is kept, in words; it goes on record
    #[arg(long)]
    pub(crate) source: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Licences {
    /// Record a licence, registration, bond, approval or certificate
    Add {
        #[command(flatten)]
        of: LicenceOf,
        /// The first day it holds: 2026-12-01 [default: it does already]
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// The last day it holds [default: without end]
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
    },
    /// It holds no more, from now on
    Withdraw {
        #[command(flatten)]
        of: LicenceOf,
    },
    /// Every licence of a seller, also those that are over
    List {
        /// Of which seller: name or ULID
        #[arg(long)]
        seller: String,
    },
}

/// Which licence, and what it covers.
#[derive(Debug, Args)]
pub(crate) struct LicenceOf {
    /// Its id, as rules name it: script_approved
    pub(crate) licence: String,
    /// Whose it is: name or ULID
    #[arg(long)]
    pub(crate) seller: String,
    /// For this campaign only: name or ULID
    #[arg(long, conflicts_with = "script")]
    pub(crate) campaign: Option<String>,
    /// For this script only: the name of its prompt
    #[arg(long)]
    pub(crate) script: Option<String>,
    /// Where the evidence is kept, in words; it goes on record
    #[arg(long)]
    pub(crate) source: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Counters {
    /// Record a count over all persons that a seller calls
    Set {
        /// Which counter, as rules name it: br.short_calls
        counter: String,
        /// How many in the window under way, by whatever means
        count: i64,
        /// Whose calls: name or ULID
        #[arg(long)]
        seller: String,
        /// When the window under way ends, RFC 3339
        #[arg(long)]
        resets_at: String,
        /// When it was counted, RFC 3339 [default: now]
        #[arg(long)]
        as_of: Option<String>,
        /// Where the evidence is kept, in words; it goes on record
        #[arg(long)]
        source: String,
    },
    /// The newest count of each counter of a seller
    List {
        /// Of which seller: name or ULID
        #[arg(long)]
        seller: String,
    },
}
