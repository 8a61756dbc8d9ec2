//! `policy diff`: what another set of packs says differently, and what that stops or allows in a
//! campaign within a day. Reads, and changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use dialer_facts::{
    campaign_terms,
    lists::{Folder, Lists},
    rules::Written,
};
use dialer_judge::{
    CallTerms, CampaignTerms, ContactFacts, GUARD, Stretch, has_room, judge, next_look, walk,
};
use dialer_limiter::Head;
use dialer_policy::{Change, Options, Ruleset, Verdict, compare};
use dialer_types::{CampaignId, ContactId, RuleId, SubjectId, UnixMillis};
use schema::{config::Config, numbers::NumberKeys};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row};
use uuid::Uuid;

use crate::{clock::Clock, store::postgres};

/// Contacts read at once.
const AT_ONCE: i64 = 1000;
/// How far ahead it looks.
const DAY: i64 = 24 * 3_600_000;

/// What to compare.
#[derive(Debug, Clone, Args)]
pub struct Diff {
    /// Folder of the packs in force.
    pub old: PathBuf,
    /// Folder of the packs that are to come.
    pub new: PathBuf,
    /// Overrides of the house rules that go with both.
    #[arg(long, value_name = "FILE")]
    pub house: Option<PathBuf>,
    /// Judge this campaign's contacts by both (ULID), for the next 24 hours.
    #[arg(long, requires = "config")]
    pub campaign: Option<CampaignId>,
    /// ringfence.toml
    #[arg(long, env = "RINGFENCE_CONFIG")]
    pub config: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `policy diff`: the text, or the JSON.
///
/// # Errors
/// If packs cannot be read or have faults, or the campaign cannot be read.
pub async fn policy_diff(asked: &Diff) -> Result<String> {
    let read = |folder: &Path| -> Result<(Written, Ruleset)> {
        let said = || folder.display().to_string();
        let written = Written::read(Some(folder), asked.house.as_deref()).with_context(said)?;
        // A folder of law alone is compared as law alone: what has no house has none to judge by.
        let house = written.cards().iter().any(|card| card.id.starts_with("house."));
        let rules = written.ruleset(Options { house }).with_context(said)?;
        Ok((written, rules))
    };
    let ((old, old_rules), (new, new_rules)) = (read(&asked.old)?, read(&asked.new)?);
    let changes = compare(&old.cards(), &new.cards());
    let effect = match (asked.campaign, &asked.config) {
        (Some(campaign), Some(config)) => {
            Some(effect_on(config, campaign, [&old_rules, &new_rules]).await?)
        }
        _ => None,
    };
    let versions = [&old_rules, &new_rules].map(|rules| rules.version().to_string());
    if asked.json {
        let json = json!({
            "old": versions.first(), "new": versions.last(),
            "changes": changes.iter().map(change_json).collect::<Vec<_>>(),
            "campaign": effect.as_ref().map(Effect::json),
        });
        return Ok(serde_json::to_string_pretty(&json).context("JSON")? + "\n");
    }
    Ok(told_changes(&changes)? + &effect.map_or_else(|| Ok(String::new()), |it| it.text())?)
}

fn change_json(change: &Change) -> Value {
    let fields = change.fields.iter();
    let fields = fields.map(|it| json!({ "field": it.field, "old": it.old, "new": it.new }));
    json!({ "kind": change.kind.as_str(), "id": change.id, "change": change.what.as_str(),
        "title": change.title, "fields": fields.collect::<Vec<_>>() })
}

fn told_changes(changes: &[Change]) -> Result<String> {
    let mut out = String::new();
    if changes.is_empty() {
        out.push_str("The packs say the same.\n");
    }
    for change in changes {
        let (kind, what) = (change.kind.as_str(), change.what.as_str());
        let title = change.title.as_deref().unwrap_or_default();
        writeln!(out, "{what:<8} {kind} {}  {title}", change.id)?;
        for field in &change.fields {
            let old = field.old.as_deref().map(|old| format!("  - {old}"));
            let new = field.new.as_deref().map(|new| format!("  + {new}"));
            writeln!(out, "    {}", field.field)?;
            for line in [old, new].into_iter().flatten() {
                writeln!(out, "    {line}")?;
            }
        }
    }
    Ok(out)
}

/// What the change makes of a campaign's contacts in the next 24 hours.
#[derive(Debug, Default)]
pub struct Effect {
    from: UnixMillis,
    contacts: u64,
    /// Callable at some moment of the day, by the old packs and by the new.
    callable: [u64; 2],
    /// Callable by the old ones only.
    stopped: u64,
    /// Callable by the new ones only.
    allowed: u64,
    /// Callable by both, for fewer or for more minutes of the day.
    shorter: u64,
    longer: u64,
    unreadable: u64,
    /// Of those stopped, by the new rules that deny when the old would have let them pass.
    stopped_by: BTreeMap<RuleId, u64>,
    /// Of those allowed, by the old rules that denied when the new let them pass.
    allowed_by: BTreeMap<RuleId, u64>,
}

/// What is known of one contact.
struct Contact {
    terms: CallTerms,
    facts: ContactFacts,
    heads: Vec<(SubjectId, Head)>,
}

/// The answer at a moment: may it be called, and what denies.
type Answer = (bool, Vec<RuleId>);

impl Contact {
    /// As the gate judges: every number, until one is permitted.
    fn judge(&self, rules: &Ruleset, at: UnixMillis) -> (Answer, UnixMillis) {
        let verdicts: Vec<(SubjectId, Verdict)> = self
            .facts
            .numbers
            .iter()
            .map(|number| {
                let (terms, facts) = (&self.terms, &self.facts);
                let verdict = judge(rules, terms, facts, number, &self.heads, GUARD, at);
                (number.subject, verdict)
            })
            .collect();
        let next = next_look(verdicts.iter().map(|(_, verdict)| verdict), &self.facts, at);
        let permits =
            || verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Permit(_)));
        let room = permits().all(|(id, _)| has_room(&self.terms, *id, &self.heads, at));
        let denials = verdicts.iter().flat_map(|(_, verdict)| verdict.denials());
        let rules: BTreeSet<RuleId> = denials.map(|denial| denial.rule.clone()).collect();
        ((permits().next().is_some() && room, rules.into_iter().collect()), next)
    }

    fn day(&self, rules: &Ruleset, from: UnixMillis) -> Vec<Stretch<Answer>> {
        walk(from, UnixMillis(from.0.saturating_add(DAY)), |at| self.judge(rules, at))
    }
}

/// How long somebody may be called, in milliseconds.
fn open(day: &[Stretch<Answer>]) -> i64 {
    day.iter().filter(|it| it.answer.0).map(|it| it.until.0 - it.from.0).sum()
}

impl Effect {
    fn add(&mut self, contact: &Contact, [old, new]: [&Ruleset; 2]) {
        let (before, after) = (contact.day(old, self.from), contact.day(new, self.from));
        let (was, will) = (open(&before), open(&after));
        let [by_old, by_new] = &mut self.callable;
        *by_old += u64::from(was > 0);
        *by_new += u64::from(will > 0);
        let blamed = |open: &[Stretch<Answer>], rules: &Ruleset| -> Vec<RuleId> {
            let first = open.iter().find(|it| it.answer.0);
            first.map_or_else(Vec::new, |it| contact.judge(rules, it.from).0.1)
        };
        let count = |by: &mut BTreeMap<RuleId, u64>, rules: Vec<RuleId>| {
            rules.into_iter().for_each(|rule| *by.entry(rule).or_default() += 1);
        };
        match (was > 0, will > 0) {
            (true, false) => {
                self.stopped += 1;
                count(&mut self.stopped_by, blamed(&before, new));
            }
            (false, true) => {
                self.allowed += 1;
                count(&mut self.allowed_by, blamed(&after, old));
            }
            (true, true) => {
                self.shorter += u64::from(will < was);
                self.longer += u64::from(will > was);
            }
            (false, false) => {}
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "from": moment_text(self.from), "hours": 24, "contacts": self.contacts,
            "callable_old": self.callable.first(), "callable_new": self.callable.last(),
            "stopped": self.stopped, "allowed": self.allowed, "shorter": self.shorter,
            "longer": self.longer, "unreadable": self.unreadable,
            "stopped_by": by_json(&self.stopped_by), "allowed_by": by_json(&self.allowed_by) })
    }

    fn text(&self) -> Result<String> {
        let mut out = String::new();
        let [old, new] = self.callable;
        writeln!(
            out,
            "\nIn the 24 hours from {} on, of {} contacts:",
            moment_text(self.from),
            self.contacts
        )?;
        for (what, count) in [
            ("callable by the old packs", old),
            ("callable by the new packs", new),
            ("no longer callable", self.stopped),
            ("newly callable", self.allowed),
            ("callable for a shorter time", self.shorter),
            ("callable for a longer time", self.longer),
            ("cannot be read, so never called", self.unreadable),
        ] {
            writeln!(out, "  {count:>9}  {what}")?;
        }
        for (what, by) in [
            ("Stopped by these rules of the new packs:", &self.stopped_by),
            ("Allowed because these rules of the old packs no longer deny:", &self.allowed_by),
        ] {
            if !by.is_empty() {
                writeln!(out, "{what}")?;
            }
            let mut rows: Vec<_> = by.iter().collect();
            rows.sort_by_key(|(rule, count)| (std::cmp::Reverse(**count), (*rule).clone()));
            for (rule, count) in rows {
                writeln!(out, "  {count:>9}  {rule}")?;
            }
        }
        Ok(out)
    }
}

fn by_json(by: &BTreeMap<RuleId, u64>) -> Value {
    by.iter().map(|(rule, count)| (rule.to_string(), json!(count))).collect()
}

fn moment_text(at: UnixMillis) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Judges the campaign's contacts as they stand in the deployment's database.
async fn effect_on(config: &Path, campaign: CampaignId, rules: [&Ruleset; 2]) -> Result<Effect> {
    let config = Config::load(config)?;
    let pool = postgres::connect(&config.postgres).await?;
    let from = Clock::of_deployment(&pool).await?.now().wall;
    let lists = Folder::open(&config.dialer.lists).lists().load_full();
    let mut connection = pool.acquire().await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut snapshot = connection.begin_with(begin).await?;
    effect_in(&mut snapshot, &config.keys.numbers, &lists, campaign, rules, from).await
}

/// Judges the campaign's contacts by the old rules and the new, batch after batch.
///
/// # Errors
/// If the database cannot be read or has no such campaign.
pub async fn effect_in(
    snapshot: &mut PgConnection,
    keys: &NumberKeys,
    lists: &Lists,
    campaign: CampaignId,
    rules: [&Ruleset; 2],
    from: UnixMillis,
) -> Result<Effect> {
    let terms = terms_of(snapshot, campaign).await?;
    let mut effect = Effect { from, ..Effect::default() };
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query(
            "SELECT id, person_subject, account_subject FROM contact
             WHERE campaign_id = $1 AND state <> 5 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(Uuid::from_u128(campaign.0))
        .bind(after)
        .bind(AT_ONCE)
        .fetch_all(&mut *snapshot)
        .await?;
        let mut wanted = BTreeMap::new();
        for row in &rows {
            after = row.try_get(0)?;
            let person = SubjectId(row.try_get(1)?);
            let account = row.try_get::<Option<i64>, _>(2)?.map(SubjectId);
            let terms = CallTerms { campaign: terms, person, account };
            wanted.insert(ContactId(after.as_u128()), terms);
        }
        effect.contacts += u64::try_from(wanted.len()).unwrap_or(0);
        let known = read(snapshot, keys, lists, wanted, &mut effect.unreadable).await?;
        known.iter().for_each(|contact| effect.add(contact, rules));
        if i64::try_from(rows.len()).is_ok_and(|count| count < AT_ONCE) {
            return Ok(effect);
        }
    }
}

/// Heads first, facts second, as the gate reads them.
async fn read(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    lists: &Lists,
    wanted: BTreeMap<ContactId, CallTerms>,
    unreadable: &mut u64,
) -> Result<Vec<Contact>> {
    let ids: BTreeSet<ContactId> = wanted.keys().copied().collect();
    let numbers: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT number_subject FROM contact_number WHERE contact_id = ANY($1)",
    )
    .bind(ids.iter().map(|id| Uuid::from_u128(id.0)).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    let own = wanted.values().flat_map(|terms| [Some(terms.person), terms.account]).flatten();
    let subjects: BTreeSet<SubjectId> = own.chain(numbers.into_iter().map(SubjectId)).collect();
    let subjects: Vec<SubjectId> = subjects.into_iter().collect();
    let heads = dialer_facts::heads(&mut *connection, &subjects).await?;
    let mut facts = dialer_facts::contacts(connection, keys, lists, &ids).await?;
    let mut found = Vec::with_capacity(wanted.len());
    for (id, terms) in wanted {
        let whole = facts.remove(&id).and_then(|facts| {
            let numbers = facts.numbers.iter().map(|number| number.subject);
            let concerned: BTreeSet<SubjectId> =
                numbers.chain([terms.person]).chain(terms.account).collect();
            let held = concerned.into_iter().map(|it| Some((it, heads.get(&it)?.clone())));
            let held: Option<Vec<_>> = held.collect();
            Some(Contact { terms, facts, heads: held? })
        });
        match whole {
            Some(contact) => found.push(contact),
            None => *unreadable += 1,
        }
    }
    Ok(found)
}

async fn terms_of(connection: &mut PgConnection, campaign: CampaignId) -> Result<CampaignTerms> {
    let row = sqlx::query(
        "SELECT s.no, a.purpose, a.technology, a.announces, a.caller_id, a.ring_timeout_ms
         FROM campaign a JOIN seller s ON s.id = a.seller_id WHERE a.id = $1",
    )
    .bind(Uuid::from_u128(campaign.0))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { bail!("no campaign has the id {campaign}") };
    let (announces, caller_id): (Vec<String>, String) = (row.try_get(3)?, row.try_get(4)?);
    let rings: i32 = row.try_get(5)?;
    let rings = Duration::from_millis(u64::try_from(rings).unwrap_or(0));
    let (no, purpose, technology) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(campaign_terms(no, purpose, technology, &announces, &caller_id, rings)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn two_folders_are_compared_field_by_field() {
        let root = std::env::temp_dir().join(format!("rf-diff-{}", std::process::id()));
        let rule = |hours: &str| {
            format!(
                "[[rule]]\nid = \"us.x\"\ntitle = \"X\"\ncitation = \"C\"\nforce = \"law\"\n\
                 jurisdiction = \"US\"\npurposes = [\"any\"]\nkind = \"emergency_suspension\"\n\
                 max_age_hours = {hours}\n"
            )
        };
        for (folder, hours) in [("old", "24"), ("new", "12"), ("bad", "\"x\"")] {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("us.toml"), rule(hours)).unwrap();
        }
        let asked = |new: &str, json: bool| Diff {
            old: root.join("old"),
            new: root.join(new),
            house: None,
            campaign: None,
            config: None,
            json,
        };
        let told = policy_diff(&asked("new", false)).await.unwrap();
        assert_eq!(told, "changed  rule us.x  X\n    max_age_hours\n      - 24\n      + 12\n");
        let json: Value =
            serde_json::from_str(&policy_diff(&asked("new", true)).await.unwrap()).unwrap();
        assert_eq!(json["changes"][0]["fields"][0]["new"], "12", "{json}");
        assert_ne!(json["old"], json["new"]);
        assert_eq!(policy_diff(&asked("old", false)).await.unwrap(), "The packs say the same.\n");
        let error = format!("{:#}", policy_diff(&asked("bad", false)).await.unwrap_err());
        assert!(error.contains("us.toml:9: rule.us.x.max_age_hours"), "{error}");
        assert!(policy_diff(&asked("none", false)).await.is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
