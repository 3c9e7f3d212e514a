#![no_main]

#[path = "../logic/resource_version.rs"]
mod logic;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| logic::check(bytes));
