//! Durations as ARM writes them. Azure spells one length in several ways (`PT90S`, `PT1M30S`), so they are compared by
//! value.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// `PT1M30S`. Whole days are not used: ARM's own clients write hours.
pub(super) fn format(duration: Duration) -> String {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX).to_string()
}

/// `None` if the text is no duration of fixed length; days have 24 hours, months and years are refused.
pub(super) fn parse(text: &str) -> Option<SignedDuration> {
    if !text.starts_with(['P', 'p']) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_length_has_many_spellings() {
        for (a, b) in
            [("PT60S", "PT1M"), ("PT90S", "PT1M30S"), ("PT0.5S", "pt0.500s"), ("P1D", "PT24H"), ("PT1H", "PT3600S")]
        {
            assert_eq!(parse(a), parse(b), "{a} {b}");
            assert!(parse(a).is_some(), "{a}");
        }
        for none in ["", "P", "60", "1m", "P1M", "P1Y", "PT", "Premium", "PTX"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_spelling_is_arms() {
        for (millis, text) in [(60_000, "PT1M"), (90_000, "PT1M30S"), (500, "PT0.5S"), (5_000, "PT5S"), (0, "PT0S")] {
            assert_eq!(format(Duration::from_millis(millis)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0u64..400_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), SignedDuration::try_from(duration).ok());
        }
    }
}
