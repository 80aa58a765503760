"""The reviewer's inbox on the web: sign-in, queue, answering together, history, figures."""
