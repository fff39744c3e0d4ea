//! Facts of groups and transactions, damaged at will: each is applied or refused; what was applied is
//! all there is, comes to the same when applied anew, and goes on, also when the groups are moved from one
//! protocol to the other. The input is facts: a key to the end
//! of its line, and a value to the next 0xff 0xff.

#![no_main]

use fletch_coordinator::{
    Caller, Fact, GroupConfig, Groups, Output, Ticket, TransactionConfig, TransactionOutput, Transactions,
};
use fletch_wire::Uuid;
use fletch_wire::messages::{
    ConsumerGroupHeartbeatRequest, DescribeGroupsRequest, DescribeTransactionsRequest, ListGroupsRequest, ListTransactionsRequest,
};
use libfuzzer_sys::fuzz_target;

fn parts(mut input: &[u8]) -> Vec<(&str, &[u8])> {
    let mut parts = Vec::new();
    while !input.is_empty() && parts.len() < 32 {
        let end = input.windows(2).position(|two| two == [0xff, 0xff]).unwrap_or(input.len());
        let (part, rest) = input.split_at(end);
        input = rest.get(2..).unwrap_or_default();
        let line = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        if let Ok(key) = std::str::from_utf8(&part[..line]) {
            parts.push((key, part.get(line + 1..).unwrap_or_default()));
        }
    }
    parts
}

fn groups(facts: &[(&str, &[u8])]) -> Groups {
    let mut groups = Groups::new(GroupConfig::default());
    for (key, value) in facts {
        let before = groups.facts();
        if groups.apply(key, Some(value)).is_err() {
            assert_eq!(groups.facts(), before);
        }
    }
    groups
}

fn transactions(facts: &[(&str, &[u8])]) -> Transactions {
    let mut transactions = Transactions::new(TransactionConfig::default());
    for (key, value) in facts {
        let before = transactions.facts();
        if transactions.apply(key, Some(value)).is_err() {
            assert_eq!(transactions.facts(), before);
        }
    }
    transactions
}

fn pairs(facts: &[Fact]) -> Vec<(&str, &[u8])> {
    facts.iter().map(|fact| (&*fact.key, fact.value.as_deref().expect("a value"))).collect()
}

/// Moves every group to the new protocol and back, if it can be: a member joins, and leaves.
fn move_to_and_fro(mut all: Groups) {
    all.put_topic("t", Uuid::from_u128(1), 3);
    all.start(0);
    let mut out = Output::default();
    for group in all.list_groups(&ListGroupsRequest::default()).groups {
        for member_epoch in [0, -1] {
            let random = Uuid::from_u128(2);
            let (client_id, client_host) = ("", "");
            let caller = Caller { ticket: Ticket(1), version: 1, client_id, client_host, random };
            let request = ConsumerGroupHeartbeatRequest {
                group_id: group.group_id.clone(),
                member_id: "moves".into(),
                member_epoch,
                rebalance_timeout_ms: 1000,
                subscribed_topic_names: Some(vec!["t".into()]),
                topic_partitions: Some(Vec::new()),
                ..Default::default()
            };
            all.consumer_group_heartbeat(1, &caller, &request, &mut out);
        }
    }
    let said = all.facts();
    assert_eq!(groups(&pairs(&said)).facts(), said);
}

fuzz_target!(|input: &[u8]| {
    let facts = parts(input);

    let mut all = groups(&facts);
    let said = all.facts();
    assert_eq!(groups(&pairs(&said)).facts(), said);
    all.start(0);
    let described = all.list_groups(&ListGroupsRequest::default()).groups;
    let ids = described.into_iter().map(|group| group.group_id).collect();
    all.describe_groups(6, &DescribeGroupsRequest { groups: ids, ..Default::default() });
    for _ in 0..64 {
        let Some(due_ms) = all.next_deadline_ms() else { break };
        all.tick(due_ms, &mut Output::default());
        assert!(all.next_deadline_ms().is_none_or(|next_ms| next_ms > due_ms));
    }

    move_to_and_fro(groups(&facts));

    let mut all = transactions(&facts);
    let said = all.facts();
    assert_eq!(transactions(&pairs(&said)).facts(), said);
    let mut out = TransactionOutput::default();
    all.start(0, &mut out);
    let listed = all.list(0, &ListTransactionsRequest::default()).transaction_states;
    let transactional_ids = listed.into_iter().map(|listed| listed.transactional_id).collect();
    all.describe(&DescribeTransactionsRequest { transactional_ids, ..Default::default() });
    for marker in std::mem::take(&mut out.markers) {
        all.markers_written(0, &marker, &mut out);
    }
    for _ in 0..64 {
        let Some(due_ms) = all.next_deadline_ms() else { break };
        all.tick(due_ms, &mut out);
    }
});
