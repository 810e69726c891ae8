pub struct Question {
    text: u32,
}

shmcomm::channel! {
    pub Plan: ReqRep<Question, Question> { name: "plan" }
}

fn main() {}
