//! Rule packs and their evaluator: facts, history and now give a verdict.
