//! Sellers and trunks.

use dialer_types::say;
use serde_json::{Value, json};

use crate::{
    arguments::{Seller, Trunk},
    config,
    desk::Desk,
    page::{Cell, Page, Tone, counts, said, text},
    trouble::Trouble,
};

pub(crate) fn sellers(desk: &Desk, word: &Seller) -> Result<(), Trouble> {
    match word {
        Seller::Create { name } => {
            let answer = desk.api.post("/v1/sellers", Some(&json!({ "name": name })))?;
            desk.show(&answer, |page, seller| {
                page.facts(vec![
                    (say!("Seller"), said(&seller["name"]).into()),
                    (say!("ID"), said(&seller["id"]).into()),
                ])
            })
        }
        Seller::List => {
            let answer = desk.api.get("/v1/sellers", &[])?;
            desk.show(&answer, seller_table)
        }
    }
}

fn seller_table(page: &Page, answer: &Value) -> String {
    let columns = [text(say!("Seller")), text(say!("ID")), text(say!("Made"))];
    let rows = items(answer)
        .iter()
        .map(|seller| {
            vec![
                said(&seller["name"]).into(),
                said(&seller["id"]).into(),
                page.moment(&seller["created_at"]).into(),
            ]
        })
        .collect();
    page.table(&columns, rows, &say!("There is no seller yet: ./ringfence seller create NAME"))
}

pub(crate) fn run(desk: &Desk, word: &Trunk) -> Result<(), Trouble> {
    match word {
        Trunk::Create {
            name,
            address,
            username,
            password_file,
            calls_per_second,
            max_concurrent,
        } => {
            let password = password_file
                .as_deref()
                .map(|file| {
                    let text = std::fs::read_to_string(file)
                        .map_err(|error| config::trouble(file, &error))?;
                    Ok(text.lines().next().unwrap_or_default().to_owned())
                })
                .transpose()?;
            let body = json!({ "name": name, "address": address, "username": username,
                "password": password, "calls_per_second": calls_per_second,
                "max_concurrent": max_concurrent });
            let answer = desk.api.post("/v1/trunks", Some(&body))?;
            desk.show(&answer, |page, trunk| {
                page.facts(vec![
                    (say!("Trunk"), said(&trunk["name"]).into()),
                    (say!("ID"), said(&trunk["id"]).into()),
                    (say!("Address"), said(&trunk["address"]).into()),
                    (say!("Calls per second"), said(&trunk["calls_per_second"]).into()),
                    (say!("At the same time"), said(&trunk["max_concurrent"]).into()),
                ])
            })
        }
        Trunk::List => {
            let answer = desk.api.get("/v1/trunks", &[])?;
            desk.show(&answer, trunk_table)
        }
    }
}

fn trunk_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("Trunk")),
        text(say!("Address")),
        counts(say!("Calls per second")),
        counts(say!("At the same time")),
        text(say!("Health")),
        text(say!("ID")),
    ];
    let rows = items(answer)
        .iter()
        .map(|trunk| {
            vec![
                said(&trunk["name"]).into(),
                said(&trunk["address"]).into(),
                said(&trunk["calls_per_second"]).into(),
                said(&trunk["max_concurrent"]).into(),
                health(page, &trunk["health"]),
                said(&trunk["id"]).into(),
            ]
        })
        .collect();
    page.table(
        &columns,
        rows,
        &say!("There is no trunk yet: ./ringfence trunk create NAME --address HOST:PORT ..."),
    )
}

/// Health as the API tells it: a word, or an object with a word and a sentence.
fn health(page: &Page, health: &Value) -> Cell {
    let word = [&health["state"], &health["word"], &health["status"], health]
        .into_iter()
        .find(|value| value.is_string());
    let Some(word) = word else { return Cell(page.tell(&say!("not known")), Tone::Faint) };
    let mut cell = page.word_of(word);
    if let Some(sentence) = ["sentence", "reason"].iter().find_map(|name| health[*name].as_str()) {
        cell.0 = format!("{}: {sentence}", cell.0);
    }
    cell
}

/// The rows of an answer.
pub(crate) fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}
