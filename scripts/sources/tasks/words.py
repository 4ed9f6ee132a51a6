"""The small vocabulary that all task families share: a model of a million parameters learns these words."""

NAMES = (
    "Tom", "Ann", "Ben", "Eva", "Max", "Mia", "Leo", "Ida", "Sam", "Zoe", "Jan", "Lea",
    "Tim", "Amy", "Dan", "Ivy", "Joe", "Kim", "Ned", "Una",
)  # fmt: skip
THINGS = (
    "apples", "books", "coins", "cups", "eggs", "hats", "keys", "nuts", "pens", "pears",
    "plums", "rings", "shells", "stamps", "stones", "toys",
)  # fmt: skip
PLACES = (
    "barn", "cave", "field", "forest", "garden", "harbor", "kitchen", "lake", "market", "mill",
    "river", "school", "tower", "valley", "village", "well",
)  # fmt: skip
ANIMALS = (
    "bear", "bee", "camel", "cat", "cow", "crab", "deer", "dog", "duck", "fish", "fox", "frog",
    "goat", "hen", "horse", "lion", "mouse", "owl", "pig", "seal", "sheep", "snake", "swan", "wolf",
)  # fmt: skip
ADJECTIVES = ("brave", "calm", "clever", "fast", "gentle", "happy", "kind", "old", "quiet", "small", "strong", "young")
