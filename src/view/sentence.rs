//! The small parts of every sentence: numbers, lengths of time, counts, lists, and how long a sentence may be.

use jiff::SignedDuration;

use crate::api::{log, status::CriterionResult};

/// Bytes of a condition's message and of an Event's note, which the API server limits to 1 KiB.
pub const MAX_MESSAGE: usize = 1024;
/// Bytes of one line of a timeline, its time included: evidence of 512 bytes and the words around it.
pub const MAX_LINE: usize = 640;

/// On one line, cut to `max` bytes at the border of a character; a cut is shown.
pub fn clamp(text: &str, max: usize) -> String {
    const CUT: &str = "…";
    let line = one_line(text);
    if line.len() <= max {
        return line;
    }
    let mut end = max.saturating_sub(CUT.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let cut = if max < CUT.len() { "" } else { CUT };
    format!("{}{cut}", line[..end].trim_end())
}

/// As the log stores it: one line of at most 512 bytes.
pub fn evidence(text: &str) -> String {
    clamp(text, log::MAX_EVIDENCE)
}

/// As a condition or an Event carries it.
pub fn message(text: &str) -> String {
    clamp(text, MAX_MESSAGE)
}

/// kubectl cuts a column at a newline.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `250ms`, `45s`, `3m 30s`, `20m`, `4h`, `2d 3h`: the two largest units, the rest dropped. Negative is `0s`.
pub fn span(length: SignedDuration) -> String {
    let millis = length.as_millis();
    if (1..1000).contains(&millis) {
        return format!("{millis}ms");
    }
    let seconds = length.as_secs().max(0);
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let Some(first) = parts.iter().position(|(n, _)| *n > 0) else { return "0s".into() };
    let shown = parts[first..].iter().take(2).filter(|(n, _)| *n > 0);
    shown.map(|(n, unit)| format!("{n}{unit}")).collect::<Vec<_>>().join(" ")
}

/// `1 instance`, `2 instances`
pub fn count(n: i64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// `a, b and c`
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// `1.8 MiB`; whole bytes below a KiB.
pub fn size(bytes: i64) -> String {
    let tenths = |unit: i64| {
        let tenths = (i128::from(bytes) * 10 + i128::from(unit) / 2) / i128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes.max(0) {
        0..0x400 => count(bytes.max(0), "byte"),
        0x400..0x10_0000 => format!("{} KiB", tenths(0x400)),
        0x10_0000..0x4000_0000 => format!("{} MiB", tenths(0x10_0000)),
        _ => format!("{} GiB", tenths(0x4000_0000)),
    }
}

/// `third`, `11th`
pub fn ordinal(n: i64) -> String {
    const WORDS: [&str; 10] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    if let Some(word) = usize::try_from(n - 1).ok().and_then(|i| WORDS.get(i)) {
        return (*word).to_owned();
    }
    let ending = match (n % 100, n % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// `a third`, `an eighth`
pub fn an_ordinal(n: i64) -> String {
    let article = if matches!(n, 8 | 11 | 18 | 80..90) { "an" } else { "a" };
    format!("{article} {}", ordinal(n))
}

/// `multi_hop: groundedness=2.710 below threshold 2.850 (n=17)`: the one spelling of a criterion that was not met.
pub fn below(class: &str, metric: &str, value: Option<&str>, minimum: &str, samples: i64) -> String {
    match value {
        Some(value) => format!("{class}: {metric}={value} below threshold {minimum} (n={samples})"),
        None => format!("{class}: {metric} has no value, threshold {minimum} (n={samples})"),
    }
}

/// What serves, as people name it; the version is absent where it was adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    pub version: Option<String>,
    pub deployment: String,
}

impl Serving {
    /// `1427`, or the deployment where no version is known.
    pub fn short(&self) -> &str {
        self.version.as_deref().unwrap_or(&self.deployment)
    }
}

/// Assets are referred to as `azureml:<name>:<version>`; people need no prefix.
pub fn bare(asset: &str) -> &str {
    asset.strip_prefix("azureml:").unwrap_or(asset)
}

/// A split as it is spelled, or that there is none.
pub fn shown(split: &str) -> &str {
    if matches!(split, "" | "{}") { "no deployment has traffic" } else { split }
}

/// Every criterion that was not met, in the order given, as long as they fit into evidence; the rest is counted.
pub fn criteria_failed(failed: &[CriterionResult]) -> String {
    let sentence = |r: &CriterionResult| below(&r.class, &r.metric, r.value.as_deref(), &r.minimum, r.samples);
    within(&failed.iter().map(sentence).collect::<Vec<_>>(), log::MAX_EVIDENCE)
}

/// Joined by semicolons; what does not fit into `max` bytes is counted instead.
pub fn within(parts: &[String], max: usize) -> String {
    let mut joined = String::new();
    for (i, part) in parts.iter().enumerate() {
        let left = parts.len() - i;
        let rest = if left > 1 { format!("; and {left} more").len() } else { 0 };
        let separator = if i == 0 { "" } else { "; " };
        if i > 0 && joined.len() + separator.len() + part.len() + rest > max {
            return clamp(&format!("{joined}; and {left} more"), max);
        }
        joined.push_str(separator);
        joined.push_str(part);
    }
    clamp(&joined, max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(class: &str, value: Option<&str>) -> CriterionResult {
        CriterionResult {
            class: class.into(),
            metric: "groundedness".into(),
            minimum: "2.850".into(),
            samples: 17,
            value: value.map(Into::into),
            verdict: "Fail".into(),
            ..CriterionResult::default()
        }
    }

    #[test]
    fn a_criterion_that_was_not_met() {
        let failed = [result("multi_hop", Some("2.710")), result("edge", None)];
        assert_eq!(
            criteria_failed(&failed),
            "multi_hop: groundedness=2.710 below threshold 2.850 (n=17); \
             edge: groundedness has no value, threshold 2.850 (n=17)"
        );
    }

    #[test]
    fn many_criteria_fit_into_evidence_and_the_rest_is_counted() {
        let failed: Vec<_> = (0..64).map(|i| result(&format!("class_{i}"), Some("1.000"))).collect();
        let told = criteria_failed(&failed);
        assert!(told.len() <= 512, "{}", told.len());
        let shown = told.matches("groundedness").count();
        assert!(told.ends_with(&format!("; and {} more", 64 - shown)), "{told}");
    }

    #[test]
    fn lengths_of_time_as_people_say_them() {
        let told = |millis: i64| span(SignedDuration::from_millis(millis));
        for (millis, text) in [
            (-5, "0s"),
            (0, "0s"),
            (250, "250ms"),
            (45_900, "45s"),
            (210_000, "3m 30s"),
            (1_200_000, "20m"),
            (14_400_000, "4h"),
            (3_600_000 + 45_000, "1h"),
            (2 * 86_400_000 + 3 * 3_600_000, "2d 3h"),
        ] {
            assert_eq!(told(millis), text);
        }
    }

    #[test]
    fn counts_sizes_and_ordinals() {
        assert_eq!((count(1, "row"), count(0, "row")), ("1 row".into(), "0 rows".into()));
        assert_eq!((size(1_884_160), size(900), size(1536)), ("1.8 MiB".into(), "900 bytes".into(), "1.5 KiB".into()));
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        let told: Vec<_> = [1, 3, 8, 11, 12, 21, 18].map(an_ordinal).into();
        assert_eq!(told, ["a first", "a third", "an eighth", "an 11th", "a 12th", "a 21st", "an 18th"]);
    }

    proptest! {
        #[test]
        fn a_clamp_is_never_longer_and_shows_that_it_cut(text in "\\PC{0,400}", max in 0_usize..300) {
            let cut = clamp(&text, max);
            prop_assert!(cut.len() <= max);
            prop_assert!(cut == one_line(&text) || cut.ends_with('…') || max < 3);
        }

        #[test]
        fn what_is_joined_fits(parts in prop::collection::vec("[a-zé ]{0,80}", 0..20), max in 40_usize..512) {
            prop_assert!(within(&parts, max).len() <= max);
        }
    }
}
