//! How often something runs by its schedule: lines of crontabs (crontab(5)) and calendar expressions of systemd
//! (systemd.time(7)), in the simple forms that renewals use. A form that is not understood has no interval.

const DAY: u64 = 86_400;

/// Time from one run to the next on average, in seconds, of a crontab's five fields or its `@` word.
#[must_use]
pub fn of_cron(line: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    if first.starts_with('@') {
        return match first {
            "@hourly" => Some(DAY / 24),
            "@daily" | "@midnight" => Some(DAY),
            "@weekly" => Some(7 * DAY),
            "@monthly" => Some(30 * DAY),
            "@yearly" | "@annually" => Some(365 * DAY),
            _ => None, // @reboot
        };
    }
    let (minutes, hours) = (many(first, 0, 59)?, many(words.next()?, 0, 23)?);
    let (days, months, weekdays) = (words.next()?, words.next()?, words.next()?);
    let (days, months) = (many(days, 1, 31)?, many(months, 1, 12)?);
    // Sunday is 0 and 7; names stand for one day each.
    let weekdays = if weekdays.starts_with(|c: char| c.is_ascii_alphabetic()) {
        u64::try_from(weekdays.split(',').count()).ok()?
    } else {
        many(weekdays, 0, 6)?
    };
    interval(minutes * hours, &[(days, 31), (weekdays, 7), (months, 12)])
}

/// The same of one `OnCalendar=`, and of several of one timer.
#[must_use]
pub fn of_calendars<'a>(texts: impl Iterator<Item = &'a str>) -> Option<u64> {
    let mut rate = 0.0; // runs a second
    for text in texts {
        rate += 1.0 / of_calendar(text)? as f64;
    }
    (rate > 0.0).then(|| (1.0 / rate).round() as u64)
}

fn of_calendar(text: &str) -> Option<u64> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.retain(|word| !matches!(*word, "UTC" | "Z"));
    let mut weekdays = 7;
    if words.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_uppercase())) {
        weekdays = days_of_week(words.remove(0))?;
    }
    match words[..] {
        ["minutely"] => return Some(60),
        ["hourly"] => return Some(DAY / 24),
        ["daily"] => return Some(DAY),
        ["weekly"] => return Some(7 * DAY),
        ["monthly"] => return Some(30 * DAY),
        [] => return interval(1, &[(weekdays, 7)]),
        _ => {}
    }
    let (date, time) = match words[..] {
        [one] if one.contains(':') => ("*-*-*", one),
        [one] => (one, "0:0"),
        [date, time] => (date, time),
        _ => return None,
    };
    let mut date = date.rsplit('-');
    let (days, months) = (many(date.next()?, 1, 31)?, many(date.next()?, 1, 12)?);
    if date.next().is_some_and(|year| year != "*") {
        return None; // it ends some day
    }
    let mut time = time.split(':');
    let (hours, minutes) = (many(time.next()?, 0, 23)?, many(time.next()?, 0, 59)?);
    let seconds = time.next().map_or(Some(1), |seconds| many(seconds, 0, 59))?;
    interval(hours * minutes * seconds, &[(days, 31), (weekdays, 7), (months, 12)])
}

/// `Mon..Fri`, `Sat,Sun`.
fn days_of_week(text: &str) -> Option<u64> {
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let place = |name: &str| NAMES.iter().position(|each| name.starts_with(each));
    let mut count = 0;
    for part in text.split(',') {
        count += match part.split_once("..") {
            Some((from, to)) => (place(to)? + 7 - place(from)?) % 7 + 1,
            None => place(part).map(|_| 1)?,
        };
    }
    u64::try_from(count.min(7)).ok()
}

/// So many runs on each day that counts; of each span of days so many count.
fn interval(runs: u64, spans: &[(u64, u64)]) -> Option<u64> {
    let mut seconds = DAY.checked_div(runs).filter(|seconds| *seconds > 0)?;
    for (count, of) in spans.iter().filter(|(count, of)| count < of) {
        seconds = (seconds * of).checked_div(*count)?;
    }
    Some(seconds)
}

/// How many values a field stands for: `*`, `3`, `1,13`, `1-5`, `2..4`, `*/12`, `0/6`, `1-30/2`.
fn many(field: &str, low: u64, high: u64) -> Option<u64> {
    let mut count = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u64>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once("..").or_else(|| range.split_once('-')) {
            _ if range == "*" => (low, high),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            // systemd: every so many from there on; cron knows no such form.
            None => range.parse().map(|from| (from, if step.is_some() { high } else { from })).ok()?,
        };
        if from < low || to > high.max(7) || from > to {
            return None;
        }
        count += (to - from) / step.unwrap_or(1) + 1;
    }
    Some(count)
}

/// A span of time as systemd writes it, in seconds: `12h`, `1h 30min`, `43200`.
#[must_use]
pub fn of_span(text: &str) -> Option<u64> {
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => DAY,
            "w" | "week" | "weeks" => 7 * DAY,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_crontabs_have_their_intervals() {
        for (line, seconds) in [
            ("0 */12 * * * root test -x /usr/bin/certbot", Some(43_200)), // Debian's certbot
            ("17 0 * * * \"/root/.acme.sh\"/acme.sh --cron", Some(86_400)),
            ("30 2,14 * * * x", Some(43_200)),
            ("*/5 * * * * x", Some(300)),
            ("0 3 * * 1 x", Some(604_800)),
            ("0 3 * * Mon,Thu x", Some(302_400)),
            ("0 3 1,15 * * x", Some(1_339_200)),
            ("@daily x", Some(86_400)),
            ("@weekly x", Some(604_800)),
            ("@reboot x", None),
            ("R R * * * x", None),
            ("61 25 * * * x", None),
            ("0 */0 * * * x", None),
            ("0 3", None),
            ("", None),
        ] {
            assert_eq!(of_cron(line), seconds, "{line}");
        }
    }

    #[test]
    fn calendars_of_systemd_have_their_intervals() {
        let of = |texts: &[&str]| of_calendars(texts.iter().copied());
        for (text, seconds) in [
            ("*-*-* 00,12:00:00", Some(43_200)), // Debian's certbot.timer
            ("*-*-* 00/6:30", Some(21_600)),
            ("daily", Some(86_400)),
            ("Mon *-*-* 03:00:00", Some(604_800)),
            ("Sat,Sun 4:00", Some(302_400)),
            ("Mon..Fri 4:00", Some(120_960)),
            ("weekly", Some(604_800)),
            ("*:0/15", Some(900)),
            ("*-*-1 05:00 UTC", Some(2_678_400)),
            ("2026-01-01 00:00", None),
            ("*-*-* 25:00", None),
            ("nonsense", None),
        ] {
            assert_eq!(of(&[text]), seconds, "{text}");
        }
        assert_eq!(of(&["*-*-* 06:08", "*-*-* 21:02"]), Some(43_200)); // certbot's snap
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn spans_are_added_up() {
        assert_eq!(of_span("43200"), Some(43_200));
        assert_eq!(of_span("1h 30min"), Some(5_400));
        assert_eq!(of_span("12h"), Some(43_200));
        assert_eq!(of_span("soon"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[-0-9*/,.: A-Za-z@]{0,40}") {
            let _ = (of_cron(&text), of_calendars([text.as_str()].into_iter()), of_span(&text));
        }
    }
}
