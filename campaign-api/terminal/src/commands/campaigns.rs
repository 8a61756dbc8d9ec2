//! Campaigns: made, listed, shown, started, paused, stopped.

use dialer_types::{Say, say};
use serde_json::{Map, Value, json};

use super::{
    forecast,
    trunks::items,
    watch,
    why::{blocked_by, summary},
};
use crate::{
    arguments::{Campaign, NewCampaign},
    desk::Desk,
    find::{Kind, find, with_names},
    page::{Cell, Page, Tone, counts, grouped, said, text},
    trouble::{DONE, Trouble},
};

pub(crate) fn run(desk: &Desk, word: &Campaign) -> Result<u8, Trouble> {
    match word {
        Campaign::Create(new) => create(desk, new),
        Campaign::List => list(desk),
        Campaign::Show(named) => {
            let id = find(&desk.api, Kind::Campaign, &named.campaign)?;
            let answer = desk.api.get(&format!("/v1/campaigns/{id}"), &[])?;
            desk.show(&answer, |page, it| show(page, &with_names(&desk.api, it)))
        }
        Campaign::Summary(named) => {
            let id = find(&desk.api, Kind::Campaign, &named.campaign)?;
            let answer = desk.api.get(&format!("/v1/campaigns/{id}/summary"), &[])?;
            desk.show(&answer, |page, value| summary(page, value) + &blocked_by(page, value))
        }
        Campaign::Forecast(asked) => forecast::run(desk, asked),
        Campaign::Start(named) => change(desk, &named.campaign, "start"),
        Campaign::Pause(named) => change(desk, &named.campaign, "pause"),
        Campaign::Stop(named) => change(desk, &named.campaign, "stop"),
        Campaign::Watch(watch) => return watch::run(desk, watch),
    }
    .map(|()| DONE)
}

fn create(desk: &Desk, new: &NewCampaign) -> Result<(), Trouble> {
    let seller = find(&desk.api, Kind::Seller, &new.seller)?;
    let trunks = new
        .trunk
        .iter()
        .map(|trunk| find(&desk.api, Kind::Trunk, trunk))
        .collect::<Result<Vec<_>, _>>()?;
    let retry: Map<String, Value> =
        new.retry.iter().map(|(word, seconds)| (word.clone(), json!(seconds))).collect();
    let body = json!({
        "seller": seller, "name": new.name, "purpose": new.purpose, "technology": new.technology,
        "caller_id": new.caller_id, "announces": new.announces,
        "prompt": new.prompt.as_deref().unwrap_or_default(),
        "dialed_by": if new.by_permits { "permits" } else { "dialer" },
        "calls_per_second": new.calls_per_second, "max_concurrent": new.max_concurrent,
        "max_tries": new.max_tries, "ring_timeout_seconds": new.ring_timeout, "retry": retry,
        "trunks": trunks,
    });
    let answer = desk.api.post("/v1/campaigns", Some(&body))?;
    desk.show(&answer, |page, it| show(page, &with_names(&desk.api, it)))?;
    let name = &new.name;
    desk.tell(&say!("Next: ./ringfence list import FILE --campaign \"{name}\"", name))
}

fn list(desk: &Desk) -> Result<(), Trouble> {
    let answer = desk.api.get("/v1/campaigns", &[])?;
    desk.show(&answer, campaign_table)
}

fn campaign_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("Campaign")),
        text(say!("Status")),
        text(say!("Purpose")),
        text(say!("Technology")),
        text(say!("Made")),
        text(say!("ID")),
    ];
    let rows = items(answer)
        .iter()
        .map(|campaign| {
            vec![
                said(&campaign["name"]).into(),
                status(page, campaign),
                Cell(page.word_of(&campaign["purpose"]).0, Tone::Plain),
                Cell(page.word_of(&campaign["technology"]).0, Tone::Plain),
                page.moment(&campaign["created_at"]).into(),
                said(&campaign["id"]).into(),
            ]
        })
        .collect();
    page.table(
        &columns,
        rows,
        &say!("There is no campaign yet: ./ringfence campaign create NAME ..."),
    )
}

/// Its status; a stall is what matters more.
fn status(page: &Page, campaign: &Value) -> Cell {
    match stall(campaign) {
        Some(stall) => Cell(stall, Tone::Bad),
        None => page.word_of(&campaign["status"]),
    }
}

/// Why a running campaign places no call: a sentence, or an object that holds one.
pub(crate) fn stall(campaign: &Value) -> Option<String> {
    let stalled = &campaign["stalled"];
    stalled.as_str().or_else(|| stalled["sentence"].as_str()).map(|text| said(&json!(text)))
}

fn change(desk: &Desk, name: &str, verb: &str) -> Result<(), Trouble> {
    let id = find(&desk.api, Kind::Campaign, name)?;
    let answer = desk.api.post(&format!("/v1/campaigns/{id}/{verb}"), None)?;
    desk.show(&answer, |page, campaign| {
        let name = said(&campaign["name"]);
        let told = match verb {
            "start" => say!("{name} is running. Follow it: ./ringfence campaign watch \"{name}\"", name),
            "pause" => say!("{name} is paused; what is due stays due. Go on: ./ringfence campaign start \"{name}\"", name),
            _ => say!("{name} is stopped: nobody is called, and whoever waits for another try waits on. Begin again: ./ringfence campaign start \"{name}\"", name),
        };
        let mut out = format!("{}\n", page.tell(&told));
        if let Some(stall) = stall(campaign) {
            out.push_str(&page.tone(&stall, Tone::Bad));
            out.push('\n');
        }
        out
    })
}

/// One campaign in full.
fn show(page: &Page, campaign: &Value) -> String {
    let word = |name: &str| Cell(page.word_of(&campaign[name]).0, Tone::Plain);
    let retry: Vec<String> = campaign["retry"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(disposition, seconds)| {
            let seconds = said(seconds);
            let disposition = page.tongue.word(disposition);
            page.tell(&say!("{disposition} after {seconds} s", disposition, seconds))
        })
        .collect();
    let announces: Vec<String> = campaign["announces"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|word| page.word_of(word).0)
        .collect();
    let mut out = page.facts(vec![
        (say!("Campaign"), said(&campaign["name"]).into()),
        (say!("ID"), said(&campaign["id"]).into()),
        (say!("Status"), page.word_of(&campaign["status"])),
        (say!("Stalled"), stall(campaign).map(|why| Cell(why, Tone::Bad)).unwrap_or_default()),
        (say!("Seller"), said(&campaign["seller"]).into()),
        (say!("Purpose"), word("purpose")),
        (say!("Technology"), word("technology")),
        (say!("Called by"), word("dialed_by")),
        (say!("Caller ID"), said(&campaign["caller_id"]).into()),
        (say!("Announces"), announces.join(", ").into()),
        (say!("Prompt"), said(&campaign["prompt"]).into()),
        (say!("Calls per second"), said(&campaign["calls_per_second"]).into()),
        (say!("At the same time"), said(&campaign["max_concurrent"]).into()),
        (say!("Attempts per contact"), said(&campaign["max_tries"]).into()),
        (say!("Rings for"), {
            let seconds = said(&campaign["ring_timeout_seconds"]);
            page.tell(&say!("{seconds} s", seconds)).into()
        }),
        (say!("Tries again"), retry.join(", ").into()),
        (say!("Trunks"), said(&campaign["trunks"]).into()),
        (say!("Made"), page.moment(&campaign["created_at"]).into()),
    ]);
    if campaign["counts"].is_object() {
        out.push_str(&counted(page, &campaign["counts"]));
    }
    out
}

/// Where the contacts are and what became of the attempts.
pub(crate) fn counted(page: &Page, numbers: &Value) -> String {
    let sum = |group: &Value| -> i64 {
        group.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_i64()).sum()
    };
    let mut out = page.heading(&say!("Contacts"));
    out.push_str(&page.facts(vec![
        (say!("All"), said(&numbers["contacts"]).into()),
        (say!("Waiting for the start"), said(&numbers["waiting"]).into()),
        (say!("Due"), said(&numbers["due"]).into()),
        (say!("Under way"), said(&numbers["leased"]).into()),
        (say!("Parked"), grouped(sum(&numbers["parked"])).into()),
        (say!("Finished"), grouped(sum(&numbers["finished"])).into()),
        (say!("Next due"), page.moment(&numbers["next_due_at"]).into()),
    ]));
    out.push_str(&page.heading(&say!("Attempts")));
    out.push_str(&page.facts(vec![
        (say!("Attempts made"), said(&numbers["attempts"]).into()),
        (say!("Answered"), said(&numbers["answered"]).into()),
    ]));
    for (heading, member, first) in groups() {
        let Some(group) = numbers[member].as_object().filter(|group| !group.is_empty()) else {
            continue;
        };
        let mut rows: Vec<(&String, i64)> =
            group.iter().map(|(name, count)| (name, count.as_i64().unwrap_or(0))).collect();
        rows.sort_by_key(|(name, count)| (-*count, (*name).clone()));
        let rules = matches!(member, "refused" | "deferred");
        let told = rules || member == "parked";
        let rows = rows
            .into_iter()
            .map(|(name, count)| {
                let sentence = &numbers["sentences"][name];
                // A rule's id is no word: it stays as it is.
                let name = if rules { name.clone() } else { page.word(name).0 };
                let mut row = vec![Cell(name, Tone::Plain), grouped(count).into()];
                row.extend(told.then(|| said(sentence).into()));
                row
            })
            .collect();
        let mut columns = vec![text(first), counts(say!("Count"))];
        columns.extend(told.then(|| text(say!("That is"))));
        out.push_str(&page.heading(&heading));
        out.push_str(&page.table(&columns, rows, &say!("none")));
    }
    out
}

fn groups() -> [(Say, &'static str, Say); 5] {
    [
        (say!("How attempts ended"), "dispositions", say!("Disposition")),
        (say!("Parked, by what they wait for"), "parked", say!("Waits for")),
        (say!("Refused, by rule"), "refused", say!("Rule")),
        (say!("Due later, by rule"), "deferred", say!("Rule")),
        (say!("Finished, by why"), "finished", say!("Why")),
    ]
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use super::*;
    use crate::page::tests::page;

    fn campaign() -> Value {
        json!({ "id": "01J", "name": "Spring", "status": "running", "stalled": "stalled: no trunk (a: 503)",
            "seller": "01S", "purpose": "telemarketing", "technology": "prerecorded",
            "caller_id": "+13055550100", "announces": ["identity", "callback_number"], "prompt": "offer.wav",
            "calls_per_second": 2.5, "max_concurrent": 10, "max_tries": 3, "ring_timeout_seconds": 30,
            "retry": { "busy": 600 }, "trunks": ["01T"], "created_at": "2026-11-24T01:02:03.000Z",
            "counts": { "contacts": 12_345, "waiting": 0, "due": 3, "leased": 0,
                "parked": { "consent": 7 }, "finished": {}, "attempts": 20, "answered": 5,
                "dispositions": { "no_answer": 15, "answered": 5 }, "refused": { "us.tcpa.consent": 7 },
                "deferred": {}, "next_due_at": null } })
    }

    #[test]
    fn a_campaign_is_shown_in_english() {
        let shown = show(&page(Language::English), &campaign());
        for line in [
            " Stalled               stalled: no trunk (a: 503)",
            " Tries again           busy after 600 s",
            " Announces             identity, callback number",
            " Attempts made  20",
            " All                    12,345",
            " Disposition  Count",
            " no answer       15",
            " consent        7",
        ] {
            assert!(shown.lines().any(|own| own == line), "{line:?} in\n{shown}");
        }
    }

    #[test]
    fn a_campaign_is_shown_in_chinese() {
        let shown = show(&page(Language::Chinese), &campaign());
        for text in [
            "状态",
            "运行中",
            "被叫忙",
            "无人接听",
            "12,345",
            "同意",
            "开头表明主叫身份, 告知回拨号码",
        ] {
            assert!(shown.contains(text), "{text} in\n{shown}");
        }
        assert!(!shown.contains("no answer") && !shown.contains("Status"), "{shown}");
        let said =
            |start: &str| shown.lines().filter(|line| line.trim().starts_with(start)).count();
        assert_eq!((said("创建时间"), said("拨打次数  20")), (1, 1), "{shown}");
    }

    #[test]
    fn a_stall_is_told_as_text_or_as_an_object() {
        assert_eq!(stall(&json!({ "stalled": null })), None);
        assert_eq!(stall(&json!({ "stalled": "s" })), Some("s".to_owned()));
        let told = json!({ "stalled": { "reason": "no_trunk", "sentence": "stalled: no trunk" } });
        assert_eq!(stall(&told), Some("stalled: no trunk".to_owned()));
        let table = campaign_table(&page(Language::English), &json!({ "items": [campaign()] }));
        assert!(table.contains("stalled: no trunk"), "{table}");
    }
}
