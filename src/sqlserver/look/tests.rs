//! What a refusal becomes, which variant a build is asked, and when slow answers are asked again.

use super::*;
use crate::model::instance::Purpose;
use crate::model::observed::Reason;

#[test]
fn a_refusal_is_never_a_zero() {
    for (number, reason, for_permission) in [
        (229, Reason::NoPermission, true),
        (297, Reason::NoPermission, true),
        (300, Reason::NoPermission, true),
        (371, Reason::NoPermission, true),
        (15562, Reason::NoPermission, true),
        (207, Reason::NotApplicable, false),
        (208, Reason::NotApplicable, false),
        (2812, Reason::NotApplicable, false),
        (1222, Reason::PeerFailed, false),
    ] {
        let (outcome, known) = refusal_gap::<()>(&queries::LISTENERS, 16, number, "as the server says");
        let right = "VIEW SERVER SECURITY STATE";
        assert_eq!(outcome, StatementOutcome::Refused { number, for_permission, right }, "{number}");
        let gap = known.unwrap_err();
        assert_eq!(gap.reason, reason, "{number}");
        assert!(gap.text.contains("statement listeners") && gap.text.contains(&number.to_string()), "{gap}");
    }
}

#[test]
fn an_error_about_a_group_names_the_right_that_refuses() {
    let (outcome, _) = refusal_gap::<()>(&queries::AVAILABILITY_GROUPS, 16, 300, "");
    let right = "VIEW SERVER PERFORMANCE STATE";
    assert_eq!(outcome, StatementOutcome::Refused { number: 300, for_permission: true, right });
}

#[test]
fn the_column_came_with_builds() {
    for (major, build, expected) in [
        (12, 6024, false),
        (13, 6299, false),
        (13, 6300, true),
        (14, 3400, false),
        (14, 3401, true),
        (15, 4072, false),
        (15, 4073, true),
        (16, 100, true),
        (17, 100, true),
    ] {
        assert_eq!(has_network_name_column(major, build), expected, "{major}.0.{build}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_repeated_until_something_changes() {
    let properties = Properties { major: 16, ..Properties::default() };
    let clock = ClockReading { peer: 0.0, ours: 0.0, round_trip: 0.0 };
    let (_, mut slow, _) = out_of_scope(properties.clone(), clock);
    slow.started = Ok(1000.0);
    let row = |address: &str| Listener {
        address: address.parse().ok(),
        port: 1433,
        purpose: Purpose::Tsql,
        is_online: true,
    };
    let rows = Ok(vec![row("0.0.0.0")]);
    slow.listeners = rows.clone();
    assert!(slow.is_good_for(&properties, &Ok(1001.0), &rows), "the clock was corrected by a second");
    assert!(!slow.is_good_for(&properties, &Ok(2000.0), &rows), "restarted");
    let lost = Err(Gap::no_permission("revoked"));
    assert!(!slow.is_good_for(&properties, &lost, &rows), "a right was lost");
    let granted = Properties { is_hadr_enabled: true, ..properties.clone() };
    assert!(!slow.is_good_for(&granted, &Ok(1000.0), &rows), "something else is to be asked");
    let failed_over = Ok(vec![row("0.0.0.0"), row("10.77.0.50")]);
    assert!(!slow.is_good_for(&properties, &Ok(1000.0), &failed_over), "a listener came");
    tokio::time::advance(SLOW_EVERY).await;
    assert!(!slow.is_good_for(&properties, &Ok(1000.0), &rows), "five minutes are over");
}
