fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "plan" {
        match keyferry::plan::Plan::read(args[3].as_ref()) {
            Ok(plan) => println!("{}", keyferry::fingerprint::rows(plan.hash().as_bytes())),
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(3)
            }
        }
    }
}
