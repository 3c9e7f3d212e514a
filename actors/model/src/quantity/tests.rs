use proptest::prelude::*;

use super::*;

const NANO: i128 = 1;
const MICRO: i128 = 1_000;
const MILLI: i128 = 1_000_000;
const ONE: i128 = 1_000_000_000;

/// Every unit with what it is worth in billionths.
const UNITS: [(&str, i128); 20] = [
    ("n", NANO),
    ("u", MICRO),
    ("m", MILLI),
    ("", ONE),
    ("k", 1_000 * ONE),
    ("M", 1_000_000 * ONE),
    ("G", ONE * ONE),
    ("T", 1_000 * ONE * ONE),
    ("P", 1_000_000 * ONE * ONE),
    ("E", ONE * ONE * ONE),
    ("Ki", ONE << 10),
    ("Mi", ONE << 20),
    ("Gi", ONE << 30),
    ("Ti", ONE << 40),
    ("Pi", ONE << 50),
    ("Ei", ONE << 60),
    ("e-9", NANO),
    ("E-3", MILLI),
    ("e3", 1_000 * ONE),
    ("E+18", ONE * ONE * ONE),
];

fn nano_of(text: &str) -> i128 {
    Quantity::parse(text).unwrap_or_else(|error| panic!("{error}")).nano
}

#[test]
fn every_unit_is_worth_what_kubernetes_says() {
    for (unit, worth) in UNITS {
        assert_eq!(nano_of(&format!("7{unit}")), 7 * worth, "{unit}");
        assert_eq!(nano_of(&format!("-7{unit}")), -7 * worth, "{unit}");
        assert_eq!(nano_of(&format!("+7{unit}")), 7 * worth, "{unit}");
        assert_eq!(nano_of(&format!("00.0{unit}")), 0, "{unit}");
    }
}

#[test]
fn fractions_are_read_in_every_form_that_apimachinery_reads() {
    for (text, nano) in [
        ("15500m", 15_500 * MILLI),
        ("15.5", 15_500 * MILLI),
        (".5", 500 * MILLI),
        ("1.", ONE),
        ("1.G", ONE * ONE),
        ("1.2e3", 1_200 * ONE),
        ("1.40E9", 1_400_000_000 * ONE),
        ("0.5e-2", 5 * MILLI),
        ("100.035Ki", 102_435_840 * MILLI),
        ("0.05Gi", 53_687_091_200 * MILLI),
        ("0.123456789012345678Ei", 142_335_986_942_043_632_726_471_714),
        ("47397663n", 47_397_663),
        ("1.000000000000000000000000000000000000000000000", ONE),
        ("0000000000000000000000000000000000000000000001", ONE),
    ] {
        assert_eq!(nano_of(text), nano, "{text}");
    }
}

#[test]
fn what_is_finer_than_a_billionth_rounds_away_from_zero() {
    for (text, nano) in [
        ("3.001n", 4),
        ("1.1E-9", 2),
        ("0.0000000001", 1),
        ("0.9n", 1),
        ("0.00000012345", 124),
        ("0.000000000001Ki", 2),
        ("1e-2000000000", 1),
        ("0.00000000000000000000000000000000000000000000000000000000000000001", 1),
        ("0e-99", 0),
    ] {
        assert_eq!(nano_of(text), nano, "{text}");
        assert_eq!(nano_of(&format!("-{text}")), -nano, "-{text}");
    }
}

#[test]
fn what_is_not_a_quantity_is_refused() {
    for text in ["", "+", "-", ".", "-.", "m", "e3", "Ki", "--1", "+-1", " 1", "aoeu", "NaN", "٣"]
    {
        assert!(matches!(Quantity::parse(text), Err(InvalidQuantity::Number(_))), "{text:?}");
    }
    for text in ["1i", "1 ", "1K", "1ki", "0.1mi", "1.1.M", "1+1", "1e", "1e+", "1e1.5", "1mm"] {
        assert!(matches!(Quantity::parse(text), Err(InvalidQuantity::Unit(_))), "{text:?}");
    }
    for text in ["1e30", "1e2000000000", "999999999999Ei", &"9".repeat(40), &"9".repeat(100_000)] {
        let error = Quantity::parse(text).unwrap_err();
        assert!(matches!(error, InvalidQuantity::Range(_)), "{error}");
        assert!(error.to_string().len() < 200, "{error}");
    }
}

#[test]
fn whole_units_and_thousandths_round_up() {
    let read = |text: &str| {
        let quantity = Quantity::parse(text).unwrap();
        (quantity.units(), quantity.milli())
    };
    assert_eq!(read("1.5Gi"), (Some(1_610_612_736), Some(1_610_612_736_000)));
    assert_eq!(read("1n"), (Some(1), Some(1)));
    assert_eq!(read("250m"), (Some(1), Some(250)));
    assert_eq!(read("2000000001n"), (Some(3), Some(2001)));
    assert_eq!(read("0"), (Some(0), Some(0)));
    assert_eq!(read("-1m"), (None, None));
    assert_eq!(read("16Ei"), (None, None));
    assert_eq!(read("15Ei"), (Some(15 << 60), None));
}

#[test]
fn readings_become_the_nearest_floating_point_number() {
    for (text, number) in [("15500m", 15.5), ("47397663n", 0.047_397_663), ("-2.5", -2.5)] {
        let difference = Quantity::parse(text).unwrap().as_f64() - number;
        assert!(difference.abs() < f64::EPSILON, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_in_any_unit_reads_back(
        count in -1_000_000_000_000_i128..1_000_000_000_000,
        (unit, worth) in prop::sample::select(UNITS.to_vec()),
    ) {
        // 10^12 exa do not fit.
        let count = if worth > ONE * ONE { count / 1_000_000 } else { count };
        prop_assert_eq!(nano_of(&format!("{count}{unit}")), count * worth);
    }

    #[test]
    fn a_fraction_of_a_unit_is_that_part_of_it_rounded_up(
        whole in 0..1_000_i128,
        (places, part) in (0..=10_u32)
            .prop_flat_map(|places| (Just(places), 0..10_i128.pow(places))),
        (unit, worth) in prop::sample::select(UNITS.to_vec()),
    ) {
        let width = usize::try_from(places).unwrap();
        let fraction = if places == 0 { String::new() } else { format!("{part:0width$}") };
        let (part, whole_part) = (part * worth, 10_i128.pow(places));
        let rounded_up = (part + whole_part - 1) / whole_part;
        let text = format!("{whole}.{fraction}{unit}");
        prop_assert_eq!(nano_of(&text), whole * worth + rounded_up, "{}", text);
    }

    #[test]
    fn quantities_have_the_order_of_their_numbers(
        left in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
        right in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
    ) {
        let (small, large) = (left.min(right), left.max(right));
        let parsed = |count: i64, unit: &str| Quantity::parse(&format!("{count}{unit}")).unwrap();
        prop_assert!(parsed(small, "u") <= parsed(large, "u"));
        prop_assert!(parsed(small, "u").as_f64() <= parsed(large, "u").as_f64());
        prop_assert_eq!(parsed(small, "u") == parsed(large, "e-6"), left == right);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*", like in "[-+]?[0-9.]{0,50}[-+eEinumkKMGTP0-9]{0,12}") {
        for text in [text, like] {
            if let Ok(quantity) = Quantity::parse(&text) {
                prop_assert!(quantity.as_f64().is_finite());
                prop_assert!(quantity.milli().is_none_or(|milli| quantity.units() <= Some(milli)));
            }
        }
    }
}
