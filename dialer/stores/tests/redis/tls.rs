//! An encrypted connection, and who may sign for the server.

use dialer_stores::Redis;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use schema::{
    config::{self, StoreUrl},
    testing::{PrivateRedis, RedisOptions},
};

use crate::{load, tokens};

/// An authority, and certificate and key that it signed for 127.0.0.1, as PEM.
fn signed() -> [String; 3] {
    let (authority, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = root.self_signed(&authority).unwrap().pem();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &Issuer::new(root, authority)).unwrap().pem();
    [ca, leaf, own.serialize_pem()]
}

#[tokio::test]
async fn a_server_is_believed_only_if_the_authority_of_the_configuration_signed_for_it() {
    let [ca, certificate, key] = signed();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = PrivateRedis::with(RedisOptions {
        settings: vec![
            format!("tls-port {port}"),
            "tls-cert-file {folder}/server.pem".to_owned(),
            "tls-key-file {folder}/server.key".to_owned(),
            "tls-ca-cert-file {folder}/ca.pem".to_owned(),
            "tls-auth-clients no".to_owned(),
        ],
        files: vec![
            ("server.pem".to_owned(), certificate),
            ("server.key".to_owned(), key),
            ("ca.pem".to_owned(), ca.clone()),
        ],
        ..RedisOptions::default()
    })
    .unwrap();
    let reach = |ca: Option<&String>| {
        let url = format!("rediss://:{}@127.0.0.1:{port}", server.password());
        let single = config::Redis::single(StoreUrl::new(url));
        Redis::reach(&config::Redis { tls: true, ca: ca.cloned(), ..single }).unwrap()
    };
    let redis = reach(Some(&ca));
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    assert_eq!(tokens(&redis, &[1]).await, [11]);
    let mut heard = redis.subscription().await.unwrap();
    heard.subscribe("rf:campaign").await.unwrap();
    let [stranger, ..] = signed();
    for wrong in [None, Some(&stranger)] {
        let error = reach(wrong).check().await.unwrap_err().to_string();
        assert!(error.contains("ertificate"), "{error}");
    }
}
