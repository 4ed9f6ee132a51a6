"""The small vocabulary that all task families share: a model of half a million parameters learns these words."""

NAMES = ("Tom", "Ann", "Ben", "Eva", "Max", "Mia", "Leo", "Ida")
THINGS = ("apples", "books", "coins", "cups", "eggs", "hats", "keys", "pens")
PLACES = ("barn", "cave", "field", "forest", "lake", "mill", "river", "tower")
ANIMALS = ("bear", "cat", "cow", "dog", "duck", "fish", "fox", "frog", "goat", "hen", "lion", "owl")
ADJECTIVES = ("brave", "calm", "fast", "happy", "kind", "old", "small", "strong")
