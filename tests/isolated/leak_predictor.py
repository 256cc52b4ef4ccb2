from flat import insist_flat

from perfcore._native.predict import Predictor

predictor = Predictor(200, remember=1000)


def step():
    for i in range(20_000):
        predictor.record(f"key {i % 3000}", ("user", i % 7), bool(i % 3))
        for guess in predictor.predictions(2):
            if predictor.begin(guess):
                predictor.arrive(guess) if i % 2 else predictor.fail(guess)
    predictor.relearn(predictor.learnt())
    predictor.recent(2000)
    Predictor(100).record(object())


insist_flat(step)
