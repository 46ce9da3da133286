#![no_main]
#[path = "../parse.rs"]
mod parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parse::packet(data));
