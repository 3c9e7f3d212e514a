use std::num::NonZeroU64;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::token::MAX_TOKEN_BYTES;
use super::*;
use crate::list::{IncludeObject, ListMerge, MergeOptions};
use crate::status::Reason;

const NAMES: [&str; 4] = ["tokyo", "osaka", "nagoya", "kobe"];

fn names(count: usize) -> Vec<ClusterName> {
    NAMES.iter().take(count).map(|name| ClusterName::new(name).unwrap()).collect()
}

fn space(count: usize) -> Arc<VersionSpace> {
    Arc::new(VersionSpace::new(NonZeroU64::new(7).unwrap(), names(count)).unwrap())
}

/// How an API server of the test differs from others.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// Its metadata stands behind the items, as in lists of custom resources.
    metadata_last: bool,
    /// It says how many items remain, as API servers do without a selector.
    counts: bool,
}

/// Answers a list as an API server does whose only state is `items` at version 100 + `index`.
fn answer(index: usize, items: usize, query: &Query, manner: Manner) -> Value {
    let version = 100 + u64::try_from(index).unwrap();
    let from = query.continue_token().map_or(0, |token| {
        let (at, of) = token.split_once('@').unwrap();
        assert_eq!(of, version.to_string(), "a token of another member");
        assert_eq!(query.resource_version(), None);
        at.parse::<usize>().unwrap()
    });
    if let Some(asked) = query.resource_version() {
        assert_eq!((asked, query.resource_version_match()), (&*version.to_string(), Some("Exact")));
    }
    let limit = query.limit().unwrap().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    let to = items.min(from.saturating_add(limit));
    let shown: Vec<Value> = (from..to)
        .map(|n| json!({"metadata": {"name": format!("{}-{n}", NAMES[index])}}))
        .collect();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if to < items {
        metadata["continue"] = json!(format!("{to}@{version}"));
        if manner.counts {
            metadata["remainingItemCount"] = json!(items - to);
        }
    }
    if manner.metadata_last {
        json!({"apiVersion": "v1", "items": shown, "kind": "List", "metadata": metadata})
    } else {
        json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": shown})
    }
}

/// One page, as the gateway makes it, with the number of items that were read for it.
fn fetch(page: Page, sizes: &[usize], manner: Manner) -> (Value, usize) {
    let members: Vec<_> = page.turns().iter().map(|turn| turn.member().clone()).collect();
    let turns = page.turns().to_vec();
    let mut merge = ListMerge::new(MergeOptions {
        members,
        space: space(sizes.len()),
        label_key: "tenbin".to_owned(),
        fold: None,
        one_key_once: false,
        show_state: false,
        include_object: IncludeObject::Metadata,
        page: Some(page),
    });
    let mut read = 0;
    for (place, turn) in turns.iter().enumerate() {
        let mut query = Query::parse("limit=1&continue=ours").unwrap();
        turn.ask(&mut query);
        let index = NAMES.iter().position(|name| *name == turn.member().as_str()).unwrap();
        let document = answer(index, sizes[index], &query, manner);
        read += document["items"].as_array().unwrap().len();
        merge.push(place, document.to_string().as_bytes()).unwrap();
        merge.end(place).unwrap();
    }
    let mut body = Vec::new();
    while let Some(chunk) = merge.next_chunk().unwrap() {
        body.extend_from_slice(&chunk);
    }
    assert!(merge.finished());
    (serde_json::from_slice(&body).unwrap(), read)
}

fn item_names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// All pages, each with a limit of its own in turn.
fn pages(sizes: &[usize], limits: &[u64], manner: Manner) -> Vec<(Value, u64, usize)> {
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    for limit in limits.iter().copied().cycle() {
        let page = match &token {
            None => Page::first(&names(sizes.len()), limit),
            Some(token) => {
                Page::continued(token, Some(limit), &space(sizes.len()), |_| true).unwrap()
            }
        };
        assert_eq!(page.is_continued(), token.is_some());
        let (list, read) = fetch(page, sizes, manner);
        token = list["metadata"]["continue"].as_str().map(str::to_owned);
        all.push((list, limit, read));
        assert!(all.len() < 1000, "pages without end");
        if token.is_none() {
            break;
        }
    }
    all
}

fn manner() -> impl Strategy<Value = Manner> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(metadata_last, counts)| Manner { metadata_last, counts })
}

fn turn() -> impl Strategy<Value = Turn> {
    let position = prop_oneof![
        (1..u64::MAX).prop_map(Position::Exact),
        Just(Position::Newest),
        "\\PC{0,40}".prop_map(Position::Behind),
    ];
    (position, any::<Option<u32>>()).prop_map(|(position, count)| Turn {
        member: names(1).remove(0),
        position,
        count: count.map(u64::from),
        limit: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_pages_of_a_list_are_the_list(
        sizes in prop::collection::vec(0_usize..40, 1..=4),
        limits in prop::collection::vec(1_u64..50, 1..4),
        manner in manner(),
    ) {
        let pages = pages(&sizes, &limits, manner);
        let shown: Vec<String> = pages.iter().flat_map(|(list, ..)| item_names(list)).collect();
        let all: Vec<String> = sizes.iter().zip(NAMES)
            .flat_map(|(size, name)| (0..*size).map(move |n| format!("{name}-{n}"))).collect();
        prop_assert_eq!(&shown, &all);
        let mut rest = all.len();
        for (list, limit, _) in &pages {
            let count = item_names(list).len();
            prop_assert!(u64::try_from(count).unwrap() <= *limit);
            prop_assert_eq!(&list["metadata"]["resourceVersion"],
                &pages[0].0["metadata"]["resourceVersion"]);
            rest -= count;
            if let Some(remaining) = list["metadata"]["remainingItemCount"].as_u64() {
                prop_assert_eq!(remaining, u64::try_from(rest).unwrap());
            }
        }
    }

    /// Where members say what remains, no page but the last is short, and each item behind the
    /// first page is read once.
    #[test]
    fn pages_are_full_and_read_nothing_twice(
        sizes in prop::collection::vec(0_usize..40, 1..=4),
        limit in 1_u64..50,
        metadata_last: bool,
    ) {
        let pages = pages(&sizes, &[limit], Manner { metadata_last, counts: true });
        for (position, (list, _, read)) in pages.iter().enumerate().skip(1) {
            prop_assert_eq!(item_names(list).len(), *read);
            if position + 1 < pages.len() {
                prop_assert_eq!(u64::try_from(*read).unwrap(), limit);
            }
        }
    }

    #[test]
    fn tokens_survive_their_way_through_a_client(
        left in prop::collection::vec(turn(), 1..2),
        rv in "70[0-9]{19}",
    ) {
        let token = Token::new(Some(rv.clone()), left.clone(), None);
        let page = Page::continued(&token.encode(), None, &space(1), |_| true).unwrap();
        prop_assert_eq!(page.turns(), &*left);
        prop_assert_eq!(page.version, Some(rv));
    }

    #[test]
    fn any_text_is_a_token_or_is_refused(text in "\\PC{0,60}", json in "\\PC{0,60}") {
        for token in [text, URL_SAFE_NO_PAD.encode(json)] {
            let refused = Page::continued(&token, Some(1), &space(1), |_| true).unwrap_err();
            prop_assert_eq!(refused.code, 400);
        }
    }
}

fn token(left: &str) -> String {
    let rv = "7000000000000000000100000000000000000010100000000000000000000";
    URL_SAFE_NO_PAD.encode(format!(r#"{{"v":1,"rv":"{rv}","left":{left}}}"#))
}

fn code(token: &str) -> u16 {
    Page::continued(token, Some(1), &space(2), |name| name.as_str() != "kobe").unwrap_err().code
}

#[test]
fn tokens_of_other_fleets_and_other_tenbins_are_refused() {
    let turn = r#"{"m":"tokyo","at":"newest"}"#;
    assert!(Page::continued(&token(&format!("[{turn}]")), None, &space(2), |_| true).is_ok());
    let other = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let rv = "8000000000000000000100000000000000000010100000000000000000000";
    assert_eq!(code(&other(&format!(r#"{{"v":1,"rv":"{rv}","left":[{turn}]}}"#))), 410);
    assert_eq!(code(&other(&format!(r#"{{"v":1,"rv":"x","left":[{turn}]}}"#))), 400);
    assert_eq!(code(&other(&format!(r#"{{"v":2,"left":[{turn}]}}"#))), 400);
    assert_eq!(code(&token(&format!("[{turn},{turn}]"))), 400, "a member twice");
    assert_eq!(code(&token(r#"[{"m":"tokyo","at":"asked"}]"#)), 400);
    assert_eq!(code(&"A".repeat(MAX_TOKEN_BYTES + 1)), 400);
    let kubernetes = r#"{"v":"meta.k8s.io/v1","rv":219,"start":"/default/c1\u0000"}"#;
    assert_eq!(code(&other(kubernetes)), 400, "a member's own token");
}

#[test]
fn members_that_are_gone_are_passed_over() {
    let of = |left: &str| {
        let is_there = |name: &ClusterName| name.as_str() != "tokyo";
        Page::continued(&token(left), Some(5), &space(2), is_there)
    };
    let page = of(r#"[{"m":"tokyo","at":{"behind":"t"}},{"m":"osaka","at":{"exact":101}}]"#);
    let page = page.unwrap();
    assert_eq!(page.turns().iter().map(|it| it.member().as_str()).collect::<Vec<_>>(), ["osaka"]);
    let nobody = of(r#"[{"m":"tokyo","at":{"behind":"t"}}]"#).unwrap_err();
    assert_eq!((nobody.code, nobody.reason), (410, Reason::Expired));
}

#[test]
fn an_expired_page_is_continued_from_newer_states() {
    let left =
        r#"[{"m":"tokyo","at":{"behind":"old"},"n":3},{"m":"osaka","at":{"exact":101},"n":2}]"#;
    let page = Page::continued(&token(left), Some(1), &space(2), |_| true).unwrap();
    assert_eq!(page.turns().len(), 1);
    assert_eq!(page.inconsistent(0, None), None, "what was begun cannot be begun again");
    let token = page.inconsistent(0, Some("new".to_owned())).unwrap();
    let page = Page::continued(&token, Some(9), &space(2), |_| true).unwrap();
    let said: Vec<String> = page
        .turns()
        .iter()
        .chain(&page.later)
        .map(|turn| {
            let mut query = Query::default();
            turn.ask(&mut query);
            query.to_string()
        })
        .collect();
    assert_eq!(said, ["limit=9&continue=new", ""]);
}

/// One page of Tables whose columns are these; returns the titles and the token.
fn table_page(page: Page, tables: &[&str]) -> (Vec<String>, Vec<Value>, Option<String>) {
    let members: Vec<_> = page.turns().iter().map(|turn| turn.member().clone()).collect();
    let mut merge = ListMerge::new(MergeOptions {
        members,
        space: space(2),
        label_key: "tenbin".to_owned(),
        fold: None,
        one_key_once: false,
        show_state: false,
        include_object: IncludeObject::Metadata,
        page: Some(page),
    });
    for (index, table) in tables.iter().enumerate() {
        merge.push(index, table.as_bytes()).unwrap();
        merge.end(index).unwrap();
    }
    let mut body = Vec::new();
    while let Some(chunk) = merge.next_chunk().unwrap() {
        body.extend_from_slice(&chunk);
    }
    let table: Value = serde_json::from_slice(&body).unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let titles = columns.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    let cells = table["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect();
    (titles, cells, table["metadata"]["continue"].as_str().map(str::to_owned))
}

#[test]
fn all_pages_of_members_with_different_columns_have_the_same() {
    let tokyo = r#"{"kind":"Table","metadata":{"resourceVersion":"100"},"columnDefinitions":[{"name":"Name"},{"name":"Old"}],"rows":[{"cells":["a",1]}]}"#;
    let osaka = r#"{"kind":"Table","metadata":{"resourceVersion":"101"},"columnDefinitions":[{"name":"Name"},{"name":"New"}],"rows":[{"cells":["b",2]}]}"#;
    let (titles, cells, token) = table_page(Page::first(&names(2), 1), &[tokyo, osaka]);
    assert_eq!(titles, ["Name", "Old", "New", "Cluster"]);
    assert_eq!(cells, [json!(["a", 1, null, "tokyo"])]);
    let page = Page::continued(&token.unwrap(), Some(1), &space(2), |_| true).unwrap();
    let (titles, cells, token) = table_page(page, &[osaka]);
    assert_eq!(titles, ["Name", "Old", "New", "Cluster"]);
    assert_eq!((cells, token), (vec![json!(["b", null, 2, "osaka"])], None));
    let (_, _, token) = table_page(Page::first(&names(2), 1), &[tokyo, tokyo]);
    let page = Page::continued(&token.unwrap(), Some(1), &space(2), |_| true).unwrap();
    assert!(page.columns().is_none(), "columns that are everywhere the same are not remembered");
}
