use super::*;
use proptest::prelude::*;

fn bits(values: &[Option<f64>]) -> Vec<Option<u64>> {
    values.iter().map(|value| value.map(f64::to_bits)).collect()
}

fn chunk(times: &[i64], columns: &[(u32, Vec<Option<f64>>)]) -> Vec<u8> {
    let mut packing = Packing::new(times);
    columns.iter().for_each(|(id, values)| packing.push(*id, values));
    packing.finish()
}

#[test]
fn a_day_on_an_even_grid_costs_nothing_but_what_moves() {
    let times: Vec<i64> = (0..8_640).map(|tick| 1_795_262_400_000 + tick * 10_000).collect();
    let still = vec![Some(0.25); times.len()];
    let counter: Vec<_> = (0..8_640).map(|tick| Some(f64::from(tick * 4_096) / 100.0)).collect();
    let size = chunk(&times, &[(0, still), (9, counter)]).len();
    assert!(size <= 150, "{size} bytes for 17,280 samples");
}

#[test]
fn one_series_is_read_without_the_others() {
    let bytes =
        chunk(&[1, 2], &[(3, vec![Some(1.5), None]), (7, vec![Some(f64::NAN), Some(-0.0)]), (8, vec![None, None])]);
    let chunk = Chunk::open(&bytes).unwrap();
    assert_eq!(chunk.ids().collect::<Vec<_>>(), [3, 7]);
    assert_eq!(chunk.column(3).unwrap(), Some(vec![Some(1.5), None]));
    assert_eq!(bits(&chunk.column(7).unwrap().unwrap()), bits(&[Some(f64::NAN), Some(-0.0)]));
    assert_eq!(chunk.column(8).unwrap(), None);
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(prop_oneof![
        any::<f64>(),
        (-1e6..1e6f64).prop_map(|value| (value * 100.0).round() / 100.0),
        any::<i32>().prop_map(f64::from),
        Just(0.0),
    ])
}

proptest! {
    #[test]
    fn any_samples_survive_to_the_bit(
        times in prop::collection::vec(prop_oneof![any::<i64>(), 0i64..99], 1..120),
        columns in prop::collection::vec(prop::collection::vec(value(), 120), 0..4),
    ) {
        let columns: Vec<_> = (0u32..).zip(columns).map(|(id, values)| (id * 3, values[..times.len()].to_vec())).collect();
        let bytes = chunk(&times, &columns);
        let chunk = Chunk::open(&bytes).unwrap();
        prop_assert_eq!(&chunk.times().unwrap(), &times);
        for (id, values) in &columns {
            let none = vec![None; times.len()];
            prop_assert_eq!(bits(&chunk.column(*id).unwrap().unwrap_or(none)), bits(values));
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_a_chunk(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(version) = bytes.first_mut() {
            *version = VERSION;
        }
        if let Ok(chunk) = Chunk::open(&bytes) {
            let _ = chunk.times();
            chunk.ids().for_each(|id| drop(chunk.column(id)));
        }
    }
}
