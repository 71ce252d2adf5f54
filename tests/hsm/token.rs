//! Tokens and PINs.

use super::*;

#[test]
fn tokens_are_found_by_their_label_alone() {
    let _tokens = Tokens::new(&["tenant", "twin", "twin"]);
    let module = open();
    let tenant = module.token("tenant").unwrap();
    assert_eq!(tenant.identity().label, "tenant");
    assert!(tenant.identity().manufacturer.contains("SoftHSM"));
    refused(module.token("twin").map(drop), Rule::TokenNotFound);
    let missing = module.token("hoster\u{1b}[2J").err().unwrap();
    assert_eq!(missing.rule(), Some(Rule::TokenNotFound));
    assert!(
        missing.to_string().contains("\"tenant\", \"twin\", \"twin\"")
            || missing.to_string().contains("\"twin\"")
    );
    assert!(!missing.to_string().contains('\u{1b}'));
}

#[test]
fn a_file_that_is_no_module_ends_with_exit_code_5() {
    let _tokens = Tokens::new(&[]);
    for path in ["/no/such/module.so", "/etc/hostname", "/lib/x86_64-linux-gnu/libm.so.6"] {
        let error = Module::open(Path::new(path), None).err().unwrap();
        assert_eq!(error.exit_code(), 5, "{error}");
        assert!(error.to_string().contains("--module"));
    }
}

#[test]
fn a_wrong_pin_is_one_try_and_is_seen_afterwards() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let token = module.token("tenant").unwrap();
    assert_eq!(token.pin_state().unwrap(), PinState::Normal);
    let error = token.login(Some(&pin("4321"))).err().unwrap();
    assert_eq!(error.exit_code(), 5);
    assert!(error.to_string().contains("PIN is wrong"), "{error}");
    assert_eq!(token.pin_state().unwrap(), PinState::CountLow);

    let hsm = token.login(Some(&pin(PIN))).unwrap();
    assert_eq!(token.pin_state().unwrap(), PinState::Normal);
    // While this process is logged in, no PIN passes unseen, right or wrong.
    assert_eq!(token.login(Some(&pin("4321"))).err().unwrap().exit_code(), 5);
    drop(hsm);
    assert!(token.login(Some(&pin("4321"))).is_err());
    assert!(token.login(None).is_err());
}

#[test]
fn a_login_that_another_part_of_the_process_left_is_no_pin_check() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let token = module.token("tenant").unwrap();
    let other = beside("tenant");
    let right = cryptoki::types::AuthPin::new(PIN.to_owned().into_boxed_str());
    other.login(cryptoki::session::UserType::User, Some(&right)).unwrap();
    assert_eq!(token.login(Some(&pin("4321"))).err().unwrap().exit_code(), 5);
    assert!(token.login(Some(&pin(PIN))).is_ok());
}

#[test]
fn a_token_gives_randomness() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let mut random = [0; 32];
    hsm.random(&mut random).unwrap();
    assert_ne!(random, [0; 32]);
}
