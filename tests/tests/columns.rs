//! What a sample costs in our columns, on numbers of a real host: a record of a minute as it travels, and an hour as a
//! store may keep it. Sizes do not depend on the machine, so they are held here.

use std::collections::BTreeMap;

use plumb_proto::dictionary::Dictionary;
use plumb_proto::model::{Block, MetricType, Payload, Series};
use plumb_proto::time::Timestamp;
use plumb_proto::wire::encode;

/// The trace as one block of `ticks` samples a series each, spaced by ten seconds.
fn blocks(ticks: usize) -> Vec<Block> {
    let packed = include_bytes!("../data/host_trace.csv.zst");
    let text = String::from_utf8(zstd::decode_all(packed.as_slice()).expect("zstd")).expect("text");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("names").split(',').collect();
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().expect("a number")).collect()).collect();
    let column = |rows: &[Vec<f64>], place: usize| {
        let name = names[place][2..].to_lowercase();
        let kind = if names[place].starts_with("C:") { MetricType::Counter } else { MetricType::Gauge };
        let values = rows.iter().map(|row| Some(row[place])).collect();
        (Series { name, labels: BTreeMap::new() }, kind, values)
    };
    let block = |(number, rows): (usize, &[Vec<f64>])| Block {
        watcher: "trace".into(),
        times: (0..rows.len())
            .map(|tick| Timestamp::from_secs(1_795_255_262 + 10 * i64::try_from(number * ticks + tick).expect("small")))
            .collect(),
        columns: (0..names.len()).map(|place| column(rows, place)).collect(),
    };
    rows.chunks_exact(ticks).enumerate().map(block).collect()
}

/// Compressed bytes a sample, declarations not counted: they travel once in an epoch.
fn bytes_a_sample(ticks: usize) -> f64 {
    let mut dictionary = Dictionary::default();
    let (mut bytes, mut samples) = (0, 0);
    for (number, block) in blocks(ticks).into_iter().enumerate() {
        let count = block.columns.len() * block.times.len();
        let (raw, _) =
            encode(&Payload { blocks: vec![block], ..Payload::default() }, &mut dictionary).expect("encodes");
        if number > 0 || ticks > 300 {
            bytes += zstd::bulk::compress(&raw, 3).expect("zstd").len();
            samples += count;
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let cost = bytes as f64 / samples as f64;
    eprintln!("{ticks} ticks: {cost:.2} bytes a sample over {samples} samples");
    cost
}

#[test]
fn a_sample_of_a_real_host_costs_two_and_a_half_bytes_in_a_minute_and_one_in_an_hour() {
    let (minute, hour) = (bytes_a_sample(6), bytes_a_sample(360));
    assert!(minute <= 2.5 && hour <= 1.0, "{minute:.2} bytes in a record of a minute, {hour:.2} in an hour");
}
