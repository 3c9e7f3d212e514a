#![no_main]

#[path = "../logic/protobuf_edit.rs"]
mod logic;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| logic::check(bytes));
