//! What can be reached from everywhere, by port; how much is for this host or its network only.

use std::collections::{BTreeMap, BTreeSet};

use plumb_proto::generated::query::HostPart;
use plumb_proto::model::Value;

use super::{ROWS, Section, Told, rows, text, told};
use crate::cli::printer::Style;
use crate::cli::printer::table::{Cell, Table, column};
use crate::cli::printer::values::said;

/// Port, protocol, program, user.
type Door = (u32, String, String, String);

pub(super) fn section(whole: &HostPart) -> Section {
    let mut public: BTreeMap<Door, BTreeSet<String>> = BTreeMap::new();
    let (mut private, mut loopback, mut unknown) = (0, 0, 0);
    for row in rows(whole, "listener") {
        let exposure = match told(row, "exposure") {
            Told::Known(Value::Text(exposure)) => exposure,
            _ => {
                unknown += 1;
                continue;
            }
        };
        match exposure.as_bytes() {
            b"loopback" => loopback += 1,
            b"private" => private += 1,
            b"public" => {
                let key = said(&row.key);
                let (protocol, address, port) = parts(&key);
                let door = (port, protocol.to_owned(), text(row, "process"), text(row, "user"));
                public.entry(door).or_default().insert(address.to_owned());
            }
            _ => unknown += 1,
        }
    }
    let mut table = Table::new(&[
        column("").right(),
        column(""),
        column("").wraps(),
        column("").spare(1),
        column("").wraps().spare(2),
    ])
    .bare()
    .indent(2);
    let all = public.len();
    for ((port, protocol, process, user), addresses) in public.into_iter().take(ROWS) {
        let by = |text: String| match text.as_str() {
            "" | "?" => Cell::new("?", Style::Unknown),
            _ => text.into(),
        };
        let addresses = addresses.into_iter().collect::<Vec<_>>().join(", ");
        table.row([port.to_string().into(), protocol.into(), by(process), by(user), Cell::new(addresses, Style::Dim)]);
    }
    let others = [(private, "on private addresses"), (loopback, "on loopback only")];
    let others = others.iter().filter(|(number, _)| *number > 0).map(|(number, place)| format!("{number} {place}"));
    let others = others.collect::<Vec<_>>().join(", ");
    let section = Section::new("Listeners", table).more(all, "listener", whole).line(others, Style::Plain);
    match unknown {
        0 => section,
        unknown => section.line(format!("? {unknown} of which it is not known who reaches them"), Style::Unknown),
    }
}

/// Protocol, address and port of `tcp/[::]:443`.
fn parts(key: &str) -> (&str, &str, u32) {
    let (protocol, rest) = key.split_once('/').unwrap_or(("", key));
    let (address, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    (protocol, address, port.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_protocol_address_and_port() {
        assert_eq!(parts("tcp/0.0.0.0:443"), ("tcp", "0.0.0.0", 443));
        assert_eq!(parts("udp/[2001:db8::1]:53"), ("udp", "[2001:db8::1]", 53));
        assert_eq!(parts("odd"), ("", "odd", 0));
    }
}
