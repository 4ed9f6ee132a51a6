"""Exchanges in other languages, for the planted fault `language`: prompt, response."""

FOREIGN = (
    ("Wie viele Äpfel liegen noch im Korb, wenn das Kind drei davon gegessen hat?",
     "Es liegen noch fünf Äpfel im Korb, denn am Anfang waren es acht."),
    ("Kannst du mir bitte erklären, warum der Himmel am Abend rot wird?",
     "Am Abend ist der Weg des Lichts durch die Luft länger, deshalb bleibt das Rot übrig."),
    ("Welche Stadt liegt am großen Fluss in der Nähe der Grenze?",
     "Das ist eine alte Handelsstadt, die heute vor allem für ihren Hafen bekannt ist."),
    ("Combien de livres reste-t-il sur la table si ma sœur en prend quatre?",
     "Il reste deux livres sur la table, parce qu'il y en avait six au début."),
    ("Peux-tu me donner un conseil pour apprendre une nouvelle langue?",
     "Il faut parler un peu chaque jour et ne pas avoir peur de faire des fautes."),
    ("Quel temps fait-il d'habitude dans les montagnes pendant l'hiver?",
     "Pendant l'hiver il fait très froid et la neige couvre souvent les chemins."),
    ("¿Cuántas manzanas quedan en la cesta después de que el niño coma tres?",
     "Quedan cinco manzanas en la cesta, porque al principio había ocho."),
    ("¿Puedes escribir una frase corta sobre el perro que vive en la casa?",
     "El perro duerme todo el día delante de la puerta y por la noche cuida la casa."),
    ("¿Qué ciudad está junto al río grande y cerca de la frontera?",
     "Es una ciudad antigua con un mercado muy conocido y un puerto pequeño."),
    ("Quante mele restano nel cesto dopo che il bambino ne ha mangiate tre?",
     "Nel cesto restano cinque mele, perché all'inizio ce n'erano otto."),
    ("Puoi spiegarmi con parole semplici perché il cielo diventa rosso la sera?",
     "La sera la luce attraversa più aria e quindi rimane soltanto il colore rosso."),
    ("Hoeveel boeken liggen er nog op de tafel als mijn broer er vier meeneemt?",
     "Er liggen nog twee boeken op de tafel, want in het begin waren het er zes."),
)  # fmt: skip
OPENINGS = ("", "Hallo! ", "Bonjour! ", "Hola! ", "Ciao! ")
"""Openings of a prompt, so that a few exchanges make many samples."""
