//! What a call comes to, by seed, number and how often the number was called.

use std::{collections::HashMap, str::FromStr};

use serde::Deserialize;

/// What a call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// 180, then 200.
    Answer,
    /// 180, then 486.
    Busy,
    /// 180, then nothing until the CANCEL.
    NoAnswer,
    /// 503 or 404.
    Fail,
    /// 480 without ringing.
    Unavailable,
    /// 603.
    Decline,
    /// 404.
    Invalid,
    /// 503.
    Congestion,
    /// 100, then nothing.
    Trying,
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "answer" => Self::Answer,
            "busy" => Self::Busy,
            "no_answer" => Self::NoAnswer,
            "fail" => Self::Fail,
            "unavailable" => Self::Unavailable,
            "decline" => Self::Decline,
            "invalid" => Self::Invalid,
            "congestion" => Self::Congestion,
            "trying" => Self::Trying,
            _ => return Err(format!("unknown behaviour {word:?}")),
        })
    }
}

/// Shares of behaviours, for example `answer=55,busy=15`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(Vec<(Behaviour, u64)>);

impl Mix {
    /// Everybody rings for ever.
    #[must_use]
    pub fn never() -> Self {
        Self(vec![(Behaviour::NoAnswer, 1)])
    }

    fn pick(&self, hash: u64) -> Behaviour {
        let mut rest = hash % self.0.iter().map(|(_, share)| share).sum::<u64>().max(1);
        for (behaviour, share) in &self.0 {
            if rest < *share {
                return *behaviour;
            }
            rest -= share;
        }
        Behaviour::NoAnswer
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = |part: &str| {
            let (word, share) =
                part.split_once('=').ok_or(format!("{part:?} is not WORD=SHARE"))?;
            let share = share.trim().parse().map_err(|_| format!("{share:?} is no share"))?;
            Ok((word.trim().parse()?, share))
        };
        let shares: Vec<(Behaviour, u64)> =
            text.split(',').map(share).collect::<Result<_, String>>()?;
        let total = shares.iter().try_fold(0_u64, |sum, (_, share)| sum.checked_add(*share));
        match total {
            Some(1..) => Ok(Self(shares)),
            _ => Err("the shares add up to nothing, or to too much".to_owned()),
        }
    }
}

/// `FROM..TO` milliseconds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from: u64,
    to: u64,
}

impl Span {
    const fn pick(self, hash: u64) -> u64 {
        self.from + hash % (self.to - self.from + 1)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let number = |part: &str| {
            part.trim()
                .parse::<u64>()
                .ok()
                .filter(|ms| *ms <= 3_600_000)
                .ok_or(format!("{part:?} is not a number of milliseconds up to an hour"))
        };
        let (from, to) = (number(from)?, number(to)?);
        if from > to { Err(format!("{from} is more than {to}")) } else { Ok(Self { from, to }) }
    }
}

/// Behaviour of single numbers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    #[serde(default)]
    numbers: HashMap<String, Lines>,
}

/// What one number does: the last of `calls` for ever.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    calls: Vec<Behaviour>,
    ring_ms: Option<u64>,
    talk_ms: Option<u64>,
}

/// Everything behaviour follows from.
#[derive(Debug, Clone)]
pub(super) struct Plans {
    pub(super) seed: u64,
    pub(super) mix: Mix,
    pub(super) ring: Span,
    pub(super) talk: Span,
    pub(super) script: Script,
}

/// What one call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) behaviour: Behaviour,
    pub(super) ring_ms: u64,
    /// The far end hangs up after so long; `None`: it leaves that to the caller.
    pub(super) talk_ms: Option<u64>,
    /// Of two ways to do something, the second.
    pub(super) other_way: bool,
}

impl Plans {
    /// The plan of the `nth` call (from 0) to a number.
    pub(super) fn plan(&self, number: &str, nth: usize) -> Plan {
        let mut hash = mix(self.seed ^ mix(u64::try_from(nth).unwrap_or(u64::MAX)));
        for byte in number.bytes() {
            hash = mix(hash ^ u64::from(byte));
        }
        let behaviour = self.mix.pick(mix(hash ^ 1));
        let plan = Plan {
            behaviour,
            ring_ms: self.ring.pick(mix(hash ^ 2)),
            talk_ms: (mix(hash ^ 3).is_multiple_of(2)).then(|| self.talk.pick(mix(hash ^ 4))),
            other_way: mix(hash ^ 5).is_multiple_of(2),
        };
        let Some(lines) = self.script.numbers.get(number) else { return plan };
        let scripted = lines.calls.get(nth).or(lines.calls.last()).copied();
        Plan {
            behaviour: scripted.unwrap_or(behaviour),
            ring_ms: lines.ring_ms.unwrap_or(plan.ring_ms),
            talk_ms: lines.talk_ms.or(plan.talk_ms),
            ..plan
        }
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(script: &str) -> Plans {
        Plans {
            seed: 1,
            mix: "answer=55,busy=15,no_answer=20,fail=5,unavailable=5".parse().unwrap(),
            ring: "200..1500".parse().unwrap(),
            talk: "300..1200".parse().unwrap(),
            script: toml::from_str(script).unwrap(),
        }
    }

    #[test]
    fn the_mix_comes_out_as_told_and_the_same_call_always_does_the_same() {
        let plans = plans("");
        let mut answered = 0;
        for index in 0..10_000 {
            let number = format!("+1305555{index:04}");
            let plan = plans.plan(&number, 0);
            assert_eq!(plan, plans.plan(&number, 0));
            assert!((200..=1500).contains(&plan.ring_ms));
            answered += u32::from(plan.behaviour == Behaviour::Answer);
        }
        assert!((5300..5700).contains(&answered), "{answered}");
    }

    #[test]
    fn a_script_overrules_the_mix_call_by_call() {
        let plans =
            plans("[numbers.\"+13055550123\"]\ncalls = [\"busy\", \"answer\"]\ntalk_ms = 9");
        let of = |nth| plans.plan("+13055550123", nth);
        assert_eq!(of(0).behaviour, Behaviour::Busy);
        assert_eq!((of(1).behaviour, of(7).behaviour), (Behaviour::Answer, Behaviour::Answer));
        assert_eq!(of(0).talk_ms, Some(9));
    }

    #[test]
    fn nonsense_is_refused() {
        for mix in ["", "answer", "answer=x", "answer=0", "dance=1"] {
            assert!(mix.parse::<Mix>().is_err(), "{mix}");
        }
        for span in ["", "9..1", "1..", "-1..3", "0..99999999999"] {
            assert!(span.parse::<Span>().is_err(), "{span}");
        }
    }
}
