//! What holds for every list.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_item() -> impl Strategy<Value = Value> {
    let text = "[a-c\\\\\"{}\\[\\]:,é ]{0,4}";
    let annotations = proptest::option::of(proptest::collection::btree_map(
        prop_oneof![Just("tenbin/cluster".to_owned()), Just("tenbin/home".to_owned()), text],
        text,
        0..4,
    ));
    (0..30_u32, annotations, text, any::<i64>()).prop_map(|(name, annotations, text, number)| {
        let mut item = json!({
            text.clone(): number,
            "metadata": {"name": format!("n{name}"), "labels": {"x": text.clone()}},
            "spec": [text, null, {"a": [true]}],
        });
        if let Some(annotations) = annotations {
            item["metadata"]["annotations"] = json!(annotations);
        }
        item
    })
}

/// The item without what a merge may change.
fn stripped(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(metadata) = item["metadata"].as_object_mut() {
        let annotations = metadata.shift_remove("annotations").unwrap_or_default();
        let kept: Value = annotations
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !key.starts_with("tenbin/"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        metadata.insert("kept".to_owned(), kept);
    }
    item
}

proptest! {
    #[test]
    fn chunks_and_spaces_do_not_change_the_answer_and_items_stay_what_they_were(
        lists in vec((vec(any_item(), 0..6), any::<bool>(), any::<bool>()), 3..=3),
        chunks in vec(1..40_usize, 1..8),
    ) {
        let answers: Vec<_> = lists
            .iter()
            .map(|(items, custom, pretty)| {
                let write = if *pretty { serde_json::to_string_pretty } else { serde_json::to_string };
                let items: Vec<_> = items.iter().map(|item| write(item).unwrap()).collect();
                Some(document(if *custom { CUSTOM } else { TYPED }, 5, &items.join(",")))
            })
            .collect();
        let options = MergeOptions { one_key_once: false, ..options() };
        let whole = merge_in(options.clone(), &answers, &[usize::MAX]).unwrap();
        prop_assert_eq!(&whole, &merge_in(options, &answers, &chunks).unwrap());
        let merged: Value = serde_json::from_str(&whole).unwrap();
        let shown: Vec<_> = merged["items"].as_array().unwrap().iter().map(stripped).collect();
        let sent: Vec<_> = lists.iter().flat_map(|list| &list.0).map(stripped).collect();
        prop_assert_eq!(shown, sent);
    }

    #[test]
    fn each_name_comes_once_and_from_the_first_member_that_has_it(
        lists in vec(vec(0..10_u32, 0..6), 3..=3),
    ) {
        let answers: Vec<_> = lists
            .iter()
            .map(|names| {
                let items: Vec<_> = names.iter().map(|name| pod(&name.to_string())).collect();
                Some(document(TYPED, 1, &items.join(",")))
            })
            .collect();
        let merged = merge_in(options(), &answers, &[100]).unwrap();
        let merged: Value = serde_json::from_str(&merged).unwrap();
        let mut expected: Vec<(String, &str)> = Vec::new();
        for (member, names) in ["tokyo", "osaka", "nagoya"].into_iter().zip(&lists) {
            for name in names {
                if expected.iter().all(|(known, _)| *known != name.to_string()) {
                    expected.push((name.to_string(), member));
                }
            }
        }
        let shown: Vec<_> = merged["items"].as_array().unwrap().iter().map(|item| (
            item["metadata"]["name"].as_str().unwrap().to_owned(),
            item["metadata"]["annotations"]["tenbin/cluster"].as_str().unwrap(),
        )).collect();
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn rubbish_is_refused_and_never_panics(
        rubbish in vec("[\\{\\}\\[\\],:\"\\\\ a0]{0,30}|\\{\"(items|rows|metadata|columnDefinitions)\":[\\[\\{\\}\\]\"a:,n]{0,12}", 3..=3),
        cut in 0..200_usize,
        noise in any::<char>(),
        fold in any::<bool>(),
    ) {
        let options = || MergeOptions { fold: fold.then_some(FoldClass::Split), ..options() };
        let answers: Vec<_> = rubbish.into_iter().map(Some).collect();
        drop(merge_in(options(), &answers, &[7]));
        let mut damaged = document(TYPED, 1, &workload("tokyo", 1, 1));
        let cut = damaged.char_indices().map(|(at, _)| at).nth(cut % damaged.len()).unwrap();
        damaged.replace_range(cut..=cut, &noise.to_string());
        drop(merge_in(options(), &[Some(damaged), None, None], &[7]));
    }
}
