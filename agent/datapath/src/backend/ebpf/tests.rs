use super::object::{self, Sizes};

#[test]
fn programs_load_within_the_verifier_budget() {
    let (programs, _maps) = match object::load(None, Sizes { flows: 1024, backends: 1024 }) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}"),
    };
    let counts = programs.verified_instructions();
    for (name, count) in &counts {
        println!("{name}: {count} instructions verified");
        assert!(*count <= 50_000, "{name} costs the verifier {count} instructions");
    }
    assert_eq!(counts.len(), object::PROGRAMS.len());
}
