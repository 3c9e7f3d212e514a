use jiff::Timestamp;
use tenbin_kernel::ManualClock;
use tenbin_model::power::Resources;

use super::*;
use crate::measure::inventory::NodeFacts;
use crate::measure::tests::{Reply, predicted, serve};
use crate::measure::web::{Web, predictor_tls};

const WITHIN: Duration = Duration::from_secs(10);

/// Tables over a predictor of known formula, which is real or refuses as the test wants.
struct Fixture {
    tables: Tables,
    predictor: Predictor,
    model: Model,
    clock: Clock,
    hand: ManualClock,
}

impl Fixture {
    fn new(longest_batch: usize) -> Self {
        let url = serve(move |served| {
            let refused = served.rows().len() > longest_batch;
            if refused { Reply::Status(500) } else { predicted(served) }
        });
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let web = Web::outward(predictor_tls(None).unwrap());
        Self {
            tables: Tables::new(clock.clone()),
            predictor: Predictor::new(web, clock.clone()),
            model: Model::Inference { url: format!("{url}/v2/models/m/infer"), secret: None },
            clock,
            hand,
        }
    }

    fn condition(&self, inlet_celsius: f64, delta_p_pascal: f64) -> Condition {
        let features = Features { cpu_percent: 33.0, inlet_celsius, delta_p_pascal };
        Condition::of(&self.model, &features)
    }

    /// The rows that were asked for to have these conditions.
    async fn renew(&self, conditions: &[Condition]) -> u64 {
        let before = self.predictor.rows();
        let wanted = conditions.iter().cloned().collect();
        let budget = Budget::new(&self.clock, WITHIN);
        self.tables.renew(&wanted, &self.predictor, &Secrets::new(), &budget).await;
        self.predictor.rows() - before
    }

    fn at_half(&self, nodes: &[(&Stocked, Option<Condition>)]) -> Vec<Option<f64>> {
        let tables = self.tables.of(nodes);
        tables.into_iter().map(|table| Some(table?.at(50.0))).collect()
    }
}

fn node(name: &str, group: &str) -> Stocked {
    let facts = NodeFacts {
        name: name.to_owned(),
        ready: true,
        withdrawn: false,
        tainted: false,
        capacity_milli: 4000,
        allocatable: Resources::default(),
        like: vec![group.to_owned()],
    };
    Stocked { facts: Arc::new(facts), config: None, requested: Resources::default() }
}

const TABLE: u64 = GRID.len() as u64;

#[actix::test]
async fn a_condition_is_asked_for_once_and_near_ones_are_one() {
    let fixture = Fixture::new(usize::MAX);
    let conditions =
        [fixture.condition(20.1, 5.0), fixture.condition(19.9, 5.2), fixture.condition(21.0, 5.0)];
    assert_eq!(fixture.renew(&conditions).await, 2 * TABLE);
    assert_eq!(fixture.renew(&conditions).await, 0);
    let (n0, n1) = (node("n0", "a"), node("n1", "a"));
    let nodes = [(&n0, Some(conditions[1].clone())), (&n1, Some(conditions[2].clone()))];
    assert_eq!(fixture.at_half(&nodes), [Some(175.0), Some(176.0)]);
    assert_eq!(fixture.tables.count(), 2);
}

#[actix::test]
async fn a_table_is_renewed_after_a_while_and_forgotten_when_it_is_not_used() {
    let fixture = Fixture::new(usize::MAX);
    let (warm, cold) = (fixture.condition(30.0, 5.0), fixture.condition(10.0, 5.0));
    assert_eq!(fixture.renew(&[warm.clone(), cold.clone()]).await, 2 * TABLE);
    fixture.hand.advance(RENEWED_AFTER);
    assert_eq!(fixture.renew(std::slice::from_ref(&cold)).await, TABLE);
    for _ in 0..IDLE_ROUNDS {
        fixture.renew(std::slice::from_ref(&cold)).await;
    }
    assert_eq!(fixture.tables.count(), 1);
}

#[actix::test]
async fn a_predictor_that_is_asked_row_by_row_gives_a_few_tables_a_round() {
    let fixture = Fixture::new(1);
    let conditions: Vec<_> =
        (0..10).map(|degree| fixture.condition(f64::from(degree), 5.0)).collect();
    // Not yet known as slow: the batch is refused, and all rows asked for.
    assert_eq!(fixture.renew(&conditions[..1]).await, 2 * TABLE);
    let slow = u64::try_from(SLOW_TABLES).unwrap();
    assert_eq!(fixture.renew(&conditions).await, slow * TABLE);
    assert_eq!(fixture.renew(&conditions).await, slow * TABLE);
    assert_eq!(fixture.renew(&conditions).await, TABLE);
    assert_eq!(fixture.renew(&conditions).await, 0);
}

#[actix::test]
async fn a_table_that_could_not_be_had_is_tried_again_later_and_leaves_the_old_one() {
    let fixture = Fixture::new(usize::MAX);
    // At -200 °C the formula has no watts above zero when idle.
    let impossible = fixture.condition(-200.0, 0.0);
    assert_eq!(fixture.renew(std::slice::from_ref(&impossible)).await, TABLE);
    assert_eq!(fixture.renew(std::slice::from_ref(&impossible)).await, 0);
    fixture.hand.advance(RETRIED_AFTER);
    assert_eq!(fixture.renew(std::slice::from_ref(&impossible)).await, TABLE);
    assert_eq!(fixture.tables.count(), 0);
    let n0 = node("n0", "a");
    assert_eq!(fixture.at_half(&[(&n0, Some(impossible))]), [None]);
}

#[actix::test]
async fn a_node_without_its_table_has_its_last_one_or_that_of_its_like_or_none() {
    let fixture = Fixture::new(usize::MAX);
    let (known, unknown) = (fixture.condition(20.0, 5.0), fixture.condition(25.0, 5.0));
    fixture.renew(std::slice::from_ref(&known)).await;
    let (n0, n1, n2) = (node("n0", "a"), node("n1", "a"), node("n2", "b"));
    let nodes = [(&n0, Some(known)), (&n1, Some(unknown.clone())), (&n2, None)];
    assert_eq!(fixture.at_half(&nodes), [Some(175.0), Some(175.0), None]);
    let nodes = [(&n0, Some(unknown)), (&n1, None)];
    assert_eq!(fixture.at_half(&nodes), [Some(175.0), Some(175.0)]);
    // What has left is forgotten.
    assert_eq!(fixture.at_half(&[(&n1, None)]), [None]);
}
