//! Misbehaviour: each kind as tiberius meets it.

use std::time::Duration;

use tiberius::error::Error;

use super::*;
use crate::tds::Behaviour;

/// Long enough for an answer on loopback, short enough to wait for silence.
const MOMENT: Duration = Duration::from_millis(300);

const READ: &str = "SELECT auth_scheme, session_id FROM sys.dm_exec_connections";

#[tokio::test]
async fn silence() {
    let server = start(spec(2022));
    for behaviour in [Behaviour::HangAtAccept, Behaviour::HangAtLogin] {
        server.set_behaviour(behaviour.clone());
        let login = connect_with(&server, config(&server));
        assert!(tokio::time::timeout(MOMENT, login).await.is_err(), "{behaviour:?}");
    }
    server.set_behaviour(Behaviour::HangAtQuery);
    let mut client = connect(&server).await;
    assert!(tokio::time::timeout(MOMENT, client.simple_query(READ)).await.is_err());
    drop(client);
    while server.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn broken_answers() {
    let server = start(spec(2022));
    for behaviour in [Behaviour::DropAtQuery, Behaviour::CutQueryAfter(30)] {
        server.set_behaviour(behaviour.clone());
        let mut client = connect(&server).await;
        let error = rows(&mut client, READ).await.unwrap_err();
        assert!(!matches!(error, Error::Server(_)), "{behaviour:?}: {error}");
    }
    server.set_behaviour(Behaviour::Garbage);
    let mut client = connect(&server).await;
    let answer = async { client.simple_query(READ).await?.into_first_result().await };
    // Random bytes are refused, or the client waits for a token that never ends.
    let answer = tokio::time::timeout(MOMENT, answer).await;
    assert!(!matches!(answer, Ok(Ok(_))));
}

#[tokio::test]
async fn wrong_types() {
    let server = start(spec(2022));
    server.set_behaviour(Behaviour::WrongTypes);
    let mut client = connect(&server).await;
    let row = rows(&mut client, READ).await.unwrap().remove(0);
    assert!(row.try_get::<&str, _>("auth_scheme").is_err());
    assert!(row.try_get::<i32, _>("session_id").is_err());
    assert_eq!(row.try_get::<i32, _>("auth_scheme").unwrap(), Some(3));
}

#[tokio::test]
async fn huge_rows() {
    use futures_util::TryStreamExt as _;
    use tiberius::QueryItem;

    let server = start(spec(2022));
    server.set_behaviour(Behaviour::HugeRows);
    let mut client = connect(&server).await;
    let mut answer = client.simple_query(READ).await.unwrap();
    let mut n_rows = 0;
    while n_rows < 5_000 {
        match answer.try_next().await.unwrap() {
            Some(QueryItem::Row(row)) => {
                n_rows += 1;
                assert_eq!(row.try_get::<&str, _>(0).unwrap().unwrap().len(), 40);
            }
            Some(QueryItem::Metadata(_)) => {}
            None => panic!("the rows ended after {n_rows}"),
        }
    }
}

#[tokio::test]
async fn sessions_are_killed() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    server.kill_sessions();
    assert!(rows(&mut client, "SELECT 1").await.is_err());
    assert_eq!(rows(&mut connect(&server).await, "SELECT 1").await.unwrap().len(), 1);
    let address = server.addr();
    drop(server);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
