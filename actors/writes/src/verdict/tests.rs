use super::*;

fn judged(code: u16, body: &str, dry: bool) -> Verdict {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let name = ClusterName::new("osaka").unwrap();
    judge(&name, code, &headers, body.as_bytes(), dry)
}

const WEBHOOK: &str =
    r#"{"kind":"Status","reason":"InternalError","message":"failed calling webhook"}"#;

#[test]
fn a_failing_webhook_refuses_a_rehearsal_and_leaves_a_commit_open() {
    let Verdict::Refused(refusal) = judged(500, WEBHOOK, true) else { panic!("not refused") };
    assert_eq!((refusal.code, refusal.message().as_str()), (500, "osaka: failed calling webhook"));
    let Verdict::Unknown(fault) = judged(500, WEBHOOK, false) else { panic!("known") };
    assert!(fault.to_string().ends_with("answered 500 failed calling webhook"), "{fault}");
    assert!(matches!(judged(500, "oops", true), Verdict::Unknown(_)));
}

#[test]
fn credentials_that_a_member_refuses_are_the_daemons() {
    let Verdict::Unsent(fault) = judged(401, WEBHOOK, false) else { panic!("sent") };
    assert_eq!(fault.to_status().code, 503);
    assert_eq!(fault.to_string(), "osaka: it does not accept the daemon's credentials");
}

#[test]
fn a_member_that_is_busy_says_when_to_come_again() {
    let body = r#"{"kind":"Status","reason":"TooManyRequests","message":"slow down"}"#;
    let Verdict::Refused(refusal) = judged(429, body, false) else { panic!("not refused") };
    assert_eq!((refusal.code, refusal.retry_after_seconds), (429, Some(7)));
}

#[test]
fn what_no_api_server_says_is_a_member_out_of_reach() {
    for code in [302, 404, 503] {
        let Verdict::Unsent(fault) = judged(code, "<html>", false) else { panic!("{code}") };
        assert_eq!(
            fault.to_string(),
            format!("osaka unreachable: answered {code} without a Status")
        );
    }
}
