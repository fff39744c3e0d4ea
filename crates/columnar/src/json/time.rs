//! Dates and times as RFC 3339 spells them.

pub(crate) const DAY_NS: i64 = 86_400_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;

/// `2026-01-31`, as days since 1970-01-01.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let (days, rest) = read_date(text)?;
    rest.is_empty().then_some(days)
}

/// `13:45:07`, with a fraction or without, as nanoseconds. If an offset follows, it is the time of
/// day in UTC.
pub(crate) fn time_of_day(text: &[u8]) -> Option<i64> {
    let (time_ns, _, rest) = read_time(text)?;
    let offset_minutes = if rest.is_empty() { 0 } else { offset(rest)? };
    Some((time_ns - offset_minutes * MINUTE_NS).rem_euclid(DAY_NS))
}

/// `2026-01-31T13:45:07.5+02:00` in units of `unit_ns` since 1970. `local`: without an offset,
/// which else must be there. Digits that the unit can't show are left out if they may be `cut`.
pub(crate) fn timestamp(text: &[u8], local: bool, unit_ns: i64, cut: bool) -> Option<i64> {
    let (days, rest) = read_date(text)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else {
        return None;
    };
    let (time_ns, whole, rest) = read_time(rest)?;
    let offset_minutes = match rest {
        b"" => local.then_some(0)?,
        _ if local => return None,
        rest => offset(rest)?,
    };
    if !cut && (!whole || time_ns % unit_ns != 0) {
        return None;
    }
    let day_units = DAY_NS / unit_ns;
    i64::from(days)
        .checked_mul(day_units)?
        .checked_add(time_ns / unit_ns)?
        .checked_sub(offset_minutes * (MINUTE_NS / unit_ns))
}

/// `Z`, or hours and minutes, as minutes east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = two(&[*h1, *h2]).filter(|&h| h < 24)?;
            let minutes = two(&[*m1, *m2]).filter(|&m| m < 60)?;
            let offset = hours * 60 + minutes;
            Some(if *sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}

fn two(text: &[u8]) -> Option<i64> {
    match *text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    }
}

fn read_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let (head, rest) = text.split_at_checked(10)?;
    if head[4] != b'-' || head[7] != b'-' {
        return None;
    }
    let year = (two(&head[..2])? * 100 + two(&head[2..4])?) as i32;
    let (month, day) = (two(&head[5..7])? as i32, two(&head[8..])? as i32);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March end with the day that may be missing.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before = y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let in_year = (153 * m + 2) / 5 + day - 1;
    const EPOCH: i32 = 719_468;
    Some((before + in_year - EPOCH, rest))
}

/// Nanoseconds, whether they are all there is, and what follows.
fn read_time(text: &[u8]) -> Option<(i64, bool, &[u8])> {
    let (head, rest) = text.split_at_checked(8)?;
    if head[2] != b':' || head[5] != b':' {
        return None;
    }
    let hours = two(&head[..2]).filter(|&h| h < 24)?;
    let minutes = two(&head[3..5]).filter(|&m| m < 60)?;
    // Leap seconds are not in the count of time that the columns keep.
    let seconds = two(&head[6..]).filter(|&s| s < 60)?;
    let mut ns = (hours * 3600 + minutes * 60 + seconds) * 1_000_000_000;
    let [b'.', fraction @ ..] = rest else {
        return Some((ns, true, rest));
    };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let (mut unit, mut whole) = (100_000_000, true);
    for &digit in &fraction[..digits] {
        whole &= unit > 0 || digit == b'0';
        ns += i64::from(digit - b'0') * unit;
        unit /= 10;
    }
    Some((ns, whole, &fraction[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(date(text.as_bytes()), Some(days), "{text}");
        }
        for text in [
            "1900-02-29",
            "2000-13-01",
            "2000-00-01",
            "2000-01-32",
            "2000-1-1",
            "",
            "2000-01-01 ",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_keep_every_digit_or_are_refused() {
        let micros = |text: &str| timestamp(text.as_bytes(), false, 1_000, false);
        assert_eq!(micros("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(micros("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(micros("1969-12-31T23:59:59.999999-00:00"), Some(-1));
        assert_eq!(micros("1970-01-01T00:00:00.0000010000Z"), Some(1));
        for text in [
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.0000001Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00.Z",
            "1970-01-01",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
        assert_eq!(
            timestamp(b"1970-01-01T00:00:00.001", true, 1_000_000, false),
            Some(1)
        );
        assert_eq!(timestamp(b"9999-12-31T00:00:00Z", false, 1, false), None);
        let cut = timestamp(b"1969-12-31T23:59:59.9999999999Z", false, 1_000, true);
        assert_eq!(cut, Some(-1));
        assert_eq!(time_of_day(b"23:59:59.999999999"), Some(DAY_NS - 1));
        assert_eq!(
            time_of_day(b"01:00:00+02:00"),
            Some(DAY_NS - 60 * MINUTE_NS)
        );
    }
}
