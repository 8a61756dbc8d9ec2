//! Chinese for every sentence of this crate, found by its English template.
//!
//! The words: 委托方 seller, 外呼活动 campaign, 被叫人 called party, 同意 consent, 撤回同意 revocation,
//! 拒绝来电名单 do-not-call list, 呼叫时段 calling hours, 拨打次数上限 cap, 冷却期 cool-down, 主叫号码 caller ID,
//! 规则包 rule pack, 呼损 abandoned calls. `docs/words.zh-CN.md` has them all.

use dialer_types::{Language, Say};

/// English template, Chinese template.
const LINES: &[(&str, &str)] = &[
    // Reasons.
    ("{one}, {other}", "{one}，{other}"),
    ("{one}; {other}", "{one}；{other}"),
    (
        "no valid {form} for this seller and purpose; {on_file} on file",
        "没有针对该委托方和该用途的有效{form}；现存同意记录 {on_file} 条",
    ),
    ("consent", "同意"),
    ("prior express consent", "事先明示同意"),
    ("prior express written consent", "事先明示的书面同意"),
    ("consent was revoked and not given again", "同意已被撤回，此后没有再次给予"),
    ("{list} is dated {days} days ahead", "{list} 的日期在 {days} 天之后"),
    ("the emergency feed is dated ahead", "紧急状态信息的日期在未来"),
    ("What would deny and does not", "本应禁止而未禁止的"),
    (
        "{rule}: the deployment relies on {law}; reason: {reason}; entered by {by}, looked at by {second}",
        "{rule}：本部署援引 {law}；理由：{reason}；由 {by} 登记，由 {second} 复核",
    ),
    (
        "do-not-call entry {entry}: lifted by consent {consent}",
        "拒绝来电登记 {entry}：由同意 {consent} 解除",
    ),
    ("{said}; evidence asked for: {evidence}", "{said}；要求的证据：{evidence}"),
    (
        "with a written consent given now, on file, that lifts the do-not-call entry",
        "若现在取得并存档一份解除该拒绝来电登记的书面同意",
    ),
    (
        "{count} do-not-call entries of this seller or of all",
        "有 {count} 条该委托方或对所有委托方生效的拒绝来电登记",
    ),
    ("an earlier call ended so that none may follow", "此前一次呼叫的结果决定了不得再次拨打"),
    ("an earlier call ended so that a pause must follow", "此前一次呼叫之后须经过冷却期"),
    ("{count} counted of {max} allowed", "已拨打 {count} 次，上限为 {max} 次"),
    ("no time zone is known", "被叫人所在时区不明"),
    ("the holiday calendar does not have this year", "节假日日历中没有这一年"),
    (
        "outside the hours in {closed} of {zones} candidate zones",
        "被叫人可能所在的 {zones} 个时区中，有 {closed} 个不在呼叫时段内",
    ),
    ("no emergency feed", "没有紧急状态信息源"),
    ("the emergency feed is stale", "紧急状态信息源已过期"),
    ("an emergency is declared there", "当地已宣布进入紧急状态"),
    ("on {list}", "号码在名单 {list} 上"),
    ("{list} is {age} days old", "名单 {list} 已有 {age} 天未更新"),
    ("no copy of {list}", "没有名单 {list} 的副本"),
    ("cannot carry out: {abilities}", "无法履行：{abilities}"),
    ("the party's role is {role}", "通话对象的身份是{role}"),
    ("the line is {line}", "线路类型为{line}"),
    ("nobody knows where the party is", "被叫人所在地不明"),
    ("nobody wrote the person's wishes down", "没有记录被叫人的意愿"),
    ("the person asked not to be called", "被叫人要求不再致电"),
    ("the person asked not to be called at this time", "被叫人要求此时不要致电"),
    ("{database} has no answer on record", "没有 {database} 的核查结果"),
    ("by {database} the number has changed hands", "据 {database} 核查，该号码已易主"),
    ("{database} was asked {age} days ago", "上次向 {database} 核查是在 {age} 天前"),
    ("nobody looked the line up", "没有查询过该线路"),
    ("the line is one for {class}", "该线路属于{class}"),
    ("the line was looked up {age} days ago", "上次查询该线路是在 {age} 天前"),
    (
        "the look-up says {found}, the contact's data say {said}",
        "查询结果为{found}，而联系人资料为{said}",
    ),
    ("{needed} on record does not hold today", "登记的 {needed} 今天无效"),
    ("no {needed} on record", "没有登记 {needed}"),
    ("nobody counts {counter}", "没有对 {counter} 计数"),
    // Blocked times.
    (
        "is no date or range of dates: write it like 2026-12-24 or 2026-12-24..2026-12-26",
        "不是日期或日期范围：请写成 2026-12-24 或 2026-12-24..2026-12-26 的样子",
    ),
    ("ends before it begins: put the earlier date first", "结束早于开始：请把较早的日期写在前面"),
    (
        "begins when it ends: leave the hours out to block whole days",
        "开始与结束相同：如要屏蔽整天，请不写时刻",
    ),
    (
        "is not understood: write it like 'mon,tue 09:00-17:00', 'daily 22:00-08:00', '2026-12-24..2026-12-26' or 'always'",
        "无法理解：请写成 'mon,tue 09:00-17:00'、'daily 22:00-08:00'、'2026-12-24..2026-12-26' 或 'always' 的样子",
    ),
    ("{counter} was counted {age} seconds ago", "{counter} 的计数已是 {age} 秒之前"),
    ("no loaded pack covers {country}", "已加载的规则包都不涵盖 {country}"),
    // Abilities, by their words.
    ("identity", "开头表明主叫身份"),
    ("purpose_statement", "说明来电目的"),
    ("callback_number", "告知回拨号码"),
    ("opt_out_key", "按键拒绝来电"),
    ("ai_disclosure", "告知由机器通话"),
    ("recording_notice", "告知正在录音"),
    ("caller_id", "可回拨的主叫号码"),
    ("caller_id_range", "专用号段的主叫号码"),
    ("min_ring", "最短振铃时长"),
    ("abandon_message", "呼损提示语"),
    ("abandonment_control", "呼损率控制"),
    ("retention", "记录保存"),
    ("reassigned_numbers", "易主号码核查"),
    // Lines and roles, by their words.
    ("wireless", "移动电话"),
    ("landline", "固定电话"),
    ("voip", "网络电话"),
    ("unknown", "未知"),
    ("principal", "本人"),
    ("spouse", "配偶"),
    ("parent_of_minor", "未成年人的父母"),
    ("guardian", "监护人"),
    ("executor", "遗嘱执行人"),
    ("attorney", "律师"),
    ("guarantor", "担保人"),
    ("third_party", "第三人"),
    // Whose lines, by their words.
    ("ordinary", "普通线路"),
    ("emergency", "紧急救援线路"),
    ("hospital", "医院病房线路"),
    ("paging", "寻呼线路"),
    ("charged", "由被叫人付费的线路"),
    // Explanations.
    (
        "{title}: {inputs}{it_is}; {then} ({rule}, {citation}).",
        "{title}：{inputs}{it_is}；{then}（{rule}，{citation}）。",
    ),
    ("", ""),
    (" (it is {times})", "（现在是{times}）"),
    ("{time} in {zone}", "{time}（{zone}）"),
    ("{times} and 1 more zone", "{times}等，另有 1 个时区"),
    ("{times} and {more} more zones", "{times}等，另有 {more} 个时区"),
    ("this rule allows the call from {utc} on", "该规则自 {utc} 起允许呼叫"),
    (
        "this rule allows the call from {utc} on, which is {times}",
        "该规则自 {utc} 起允许呼叫，即{times}",
    ),
    ("it takes a consent that covers the call", "需要取得涵盖此次呼叫的同意"),
    (
        "it takes a fresh copy of {list} without the number, or an exemption",
        "需要一份不含该号码的最新名单 {list}，或者适用豁免",
    ),
    ("nobody calls as long as the entry stands", "只要该登记有效，就不得拨打"),
    ("it takes an address or a time zone", "需要补充地址或时区"),
    ("it takes another rule pack or calendar", "需要其他规则包或日历"),
    (
        "it takes a fresh emergency feed without an emergency for the place",
        "需要最新的紧急状态信息，且当地未处于紧急状态",
    ),
    ("it takes {ability}", "需要{ability}"),
    ("something this build cannot do", "本系统尚不具备的能力"),
    ("it takes another party or line", "需要换一位通话对象或换一条线路"),
    (
        "it takes the wishes of the person, and that they allow the call",
        "需要登记被叫人的意愿，且其允许此次呼叫",
    ),
    ("it takes a fresh look-up of the number in {check}", "需要通过 {check} 重新查询该号码"),
    ("it takes a valid {licence} on record", "需要登记有效的 {licence}"),
    ("it takes a fresh count of {counter}", "需要 {counter} 的最新计数"),
    ("no later time changes that", "等待不会改变这一结果"),
    ("a prompt that says at its beginning who calls", "在语音提示开头表明主叫身份"),
    ("a prompt that says why you call", "在语音提示中说明来电目的"),
    ("a prompt that gives a number to call back", "在语音提示中告知回拨号码"),
    ("a key press that opts out during the message", "让被叫人在播放过程中按键即可拒绝来电"),
    ("a prompt that says that a machine speaks", "在语音提示中告知是机器通话"),
    ("a prompt that announces the recording", "在语音提示中告知通话正在录音"),
    ("a caller ID that can be called back", "可以回拨的主叫号码"),
    ("a caller ID from the range reserved for such calls", "使用此类呼叫专用号段的主叫号码"),
    ("letting unanswered calls ring for 15 seconds", "无人接听时至少振铃 15 秒"),
    ("a message for people whom no agent answers in time", "坐席未能及时接入时向被叫人播放提示语"),
    ("pacing that keeps the abandonment limit", "将呼损率控制在限额内的拨号节奏"),
    ("records kept as long as the law asks", "按法定期限保存记录"),
    ("a look-up of reassigned numbers", "核查号码是否已易主"),
    ("{title}: this call needs {needs}.", "{title}：此次呼叫需要{needs}。"),
    ("{title}: a duty of the caller.", "{title}：主叫方应尽的义务。"),
    // Dossiers.
    ("{number}: {purpose}, {technology}, at {at}", "{number}：{purpose}，{technology}，时间 {at}"),
    (
        "permit: the call may be placed now; that stands until {until}, if nothing changes",
        "准许：现在可以拨打；若无变化，该结论有效至 {until}",
    ),
    (
        "defer: not now; the first lawful moment is {until}, if nobody calls in between",
        "推迟：现在不可拨打；若其间无人拨打，最早的合法时刻为 {until}",
    ),
    (
        "refuse: no passing of time makes the call lawful; it waits for {waits}",
        "拒绝：等待不会使此次呼叫合法；尚待：{waits}",
    ),
    ("That is {times}.", "即{times}。"),
    ("Where the person may be", "被叫人可能所在的地点"),
    ("What is not known", "未知的事实"),
    (
        "the address: the number alone says where the person may be",
        "地址：仅凭号码判断被叫人可能所在的地点",
    ),
    (
        "the region within the country: every region's zones count",
        "国家以下的地区：该国所有时区均计入",
    ),
    (
        "the time zone: every zone of the place counts, and all must allow",
        "时区：当地的每个时区均计入，且须全部允许",
    ),
    (
        "the kind of line: rules for mobile and for fixed lines both apply",
        "线路类型：移动电话与固定电话的规则同时适用",
    ),
    ("any relationship with the seller: none counts", "与委托方的关系：视为没有"),
    ("any consent: none counts", "同意：视为没有"),
    (
        "the seller's own do-not-call entries: none was given, so none is assumed",
        "委托方自有的拒绝来电登记：未提供，视为没有",
    ),
    (
        "earlier calls: none was given, so caps and pauses count none",
        "此前的呼叫：未提供，拨打次数上限与冷却期均按没有计算",
    ),
    (
        "list {list}: there is no copy, and what is absent denies",
        "名单 {list}：没有副本，缺失即不得拨打",
    ),
    ("the emergency feed: rules that need it deny", "紧急状态信息源：需要它的规则一律不准拨打"),
    (
        "Rules that deny: {count} of {all} that were asked",
        "不准拨打的规则：共判定 {all} 条，其中 {count} 条",
    ),
    ("By this rule alone from {at} on.", "仅就该规则而言，自 {at} 起可以拨打。"),
    ("Built in: it stands in no pack.", "系统内置：不在任何规则包中。"),
    ("Verification V1: the official text was read.", "核实程度 V1：已阅读官方文本。"),
    ("Verification V2: a secondary source was read.", "核实程度 V2：已阅读二手来源。"),
    ("Verification K: from knowledge only, not verified.", "核实程度 K：仅凭知识，未经核实。"),
    ("No mark of verification.", "没有核实标记。"),
    ("{mark} Source: {source}", "{mark}来源：{source}"),
    ("What would change the verdict", "什么会改变结论"),
    ("defer until {until}", "推迟至 {until}"),
    ("permit", "准许"),
    ("refuse", "拒绝"),
    ("{what}: {verdict}", "{what}：{verdict}"),
    ("{said}; no longer denies: {rules}", "{said}；不再阻止拨打的规则：{rules}"),
    ("{said}; denies besides: {rules}", "{said}；另外阻止拨打的规则：{rules}"),
    ("all that is missing together", "补齐所有缺失的事实"),
    ("if the line is {line}", "如果线路是{line}"),
    ("if it is a business that is called", "如果被叫方是企业"),
    ("if a person dials it", "如果由人工拨号"),
    ("if it is a customer since today", "如果自今日起是现有客户"),
    ("with a prior express consent given now", "如果现在给予事先明示同意"),
    ("with a prior express written consent given now", "如果现在给予事先明示的书面同意"),
    ("with a fresh copy of {list} without the number", "如果有一份不含该号码的最新名单 {list}"),
    ("with a fresh emergency feed", "如果有最新的紧急状态信息"),
    ("Duties that go with the call", "此次呼叫须履行的义务"),
    ("Every rule that was asked", "判定时所用的全部规则"),
    ("denies", "不准"),
    ("passes", "通过"),
    ("Marks and rules", "标记与规则包"),
    (
        "[V1] official text read; [V2] secondary source read; [K] from knowledge only, not verified; [-] built in. This is not legal advice.",
        "[V1] 已阅读官方文本；[V2] 已阅读二手来源；[K] 仅凭知识，未经核实；[-] 系统内置。本文不构成法律意见。",
    ),
    ("rules {version}", "规则版本 {version}"),
];

/// The Chinese template for an English one of this crate.
#[must_use]
pub fn chinese(template: &str) -> Option<&'static str> {
    LINES.iter().find(|(english, _)| *english == template).map(|(_, chinese)| *chinese)
}

/// A sentence of this crate in a language.
#[must_use]
pub fn in_language(said: &Say, language: Language) -> String {
    match language {
        Language::English => said.to_string(),
        Language::Chinese => said.text(&chinese),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use std::collections::BTreeSet;

    use dialer_types::{LineType, PartyRole};

    use super::*;
    use crate::{Ability, LineClass, Wait, waits_sentence};

    fn places(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|part| part.split('}').next()).collect()
    }

    /// The source of this crate but this file, with breaks within literals closed.
    fn source() -> String {
        let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let mut text = String::new();
        for folder in [src.to_owned(), format!("{src}/kinds"), format!("{src}/dossier")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() && !path.ends_with("chinese.rs") {
                    text += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        text
    }

    #[test]
    fn every_line_has_the_places_of_its_template_and_somebody_says_it() {
        let source = source();
        let types = include_str!("../../types/src/say.rs");
        let words: BTreeSet<&str> = LineType::ALL
            .iter()
            .map(|line| line.as_str())
            .chain(PartyRole::ALL.iter().map(|role| role.as_str()))
            .chain(Ability::ALL.iter().map(|ability| ability.as_str()))
            .chain(LineClass::ALL.iter().map(|class| class.as_str()))
            .collect();
        for (english, chinese) in LINES {
            assert_eq!(places(english), places(chinese), "{english}");
            let literal = format!("\"{english}\"");
            let said = source.contains(&literal) || types.contains(&literal);
            assert!(said || words.contains(english), "nobody says {english:?}");
        }
        for word in words {
            assert!(chinese(word).is_some(), "{word}");
        }
    }

    #[test]
    fn what_a_call_waits_for_is_told_in_chinese_and_found_by_its_word() {
        let mut waits = vec![
            Wait::Consent,
            Wait::List("us.national_dnc".into()),
            Wait::Suppression,
            Wait::Address,
            Wait::Pack,
            Wait::Feed,
            Wait::Contact,
            Wait::Wishes,
            Wait::Check("us.rnd".into()),
            Wait::Licence("us.tx".into()),
            Wait::Counter("br.short".into()),
            Wait::Never,
        ];
        waits.extend(Ability::ALL.iter().map(|ability| Wait::Obligation(ability.as_str())));
        for wait in waits {
            let text = waits_sentence(&wait, Language::Chinese);
            let text = ["us.national_dnc", "us.rnd", "us.tx", "br.short"]
                .iter()
                .fold(text, |text, id| text.replace(id, ""));
            assert!(!text.chars().any(|one| one.is_ascii_alphabetic()), "{text}");
            assert!(text.ends_with('。'), "{text}");
            let english = waits_sentence(&wait, Language::English);
            assert!(english.ends_with('.') && english.starts_with(char::is_uppercase), "{english}");
            assert_eq!(Wait::from_word(&wait.word()), Some(wait));
        }
        assert_eq!(Wait::from_word("obligation:magic"), None);
    }
}
