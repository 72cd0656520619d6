//! `log_format` of nginx (ngx_http_log_module): text with variables, `$name` or `${name}`.

use super::{Field, Piece};

/// The format that nginx has built in.
pub(in crate::watchers::logs) const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
     $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

pub(super) fn pieces(format: &str) -> Option<Vec<Piece>> {
    let mut found = Vec::new();
    let mut rest = format;
    let sent_twice = format.contains("$body_bytes_sent");
    while let Some(at) = rest.find('$') {
        found.push(Piece::Fixed(rest.get(..at)?.as_bytes().to_vec()));
        let after = rest.get(at + 1..)?;
        let (name, next) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}')?,
            None => {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        found.push(Piece::Field(match name {
            "" => return None,
            "remote_addr" => Field::Word,
            "status" => Field::Status,
            "server_name" => Field::Site,
            "body_bytes_sent" => Field::Bytes,
            "bytes_sent" if !sent_twice => Field::Bytes,
            "request_time" => Field::Time(1),
            _ => Field::Text,
        }));
        rest = next;
    }
    found.push(Piece::Fixed(rest.as_bytes().to_vec()));
    found.retain(|piece| *piece != Piece::Fixed(Vec::new()));
    Some(found)
}
