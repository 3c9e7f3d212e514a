mod round;
mod server;
mod world;

pub(super) use server::{Reply, Served, kubeconfig, output, predicted, serve, serve_tls, watts};
