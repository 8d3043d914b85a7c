"""Names to invent people from: as mixed as an NHS payroll, with accents, particles, several given names."""

from __future__ import annotations

GIVEN = (
    "Aisling", "Amina", "Anaïs", "Bartosz", "Beatriz", "Bronagh", "Chidi", "Chloë", "Dafydd",
    "Dilwyn", "Ebele", "Efua", "Elin", "Emre", "Fatoumata", "Fionn", "François", "Gráinne",
    "Gwenllian", "Hamza", "Hélène", "Hsiu-Mei", "Ifeoma", "Ingrid", "Jelena", "João", "Joséphine",
    "Kateřina", "Kwabena", "Laleh", "Lowri", "Łukasz", "Maeve", "Maryam", "Mihail", "Nadezhda",
    "Naïma", "Nkechi", "Noël", "Olamide", "Pádraig", "Rhys", "Rosalía", "Sanjay", "Seán", "Şebnem",
    "Siobhán", "Sunniva", "Tadhg", "Thảo", "Tomasz", "Uchenna", "Wioletta", "Yusuf", "Zainab",
)  # fmt: skip
MIDDLE = (
    "Abena", "Angharad", "Céline", "Devi", "Eirlys", "Frances", "Gideon", "Hope", "Iolo", "José",
    "Kofi", "Louise", "Marie", "Niamh", "Olivia", "Pádraic", "Quentin", "Rose", "Søren", "Tirion",
    "Ursula", "Winifred",
)  # fmt: skip
FAMILY = (
    "Abara-Lunt", "Ashenhurst", "Bäckström", "Barzani", "Błaszczyk", "Brannigan-Shah", "Caddick",
    "Çelik", "Dąbrowa", "de Souza Brandão", "Dhillonwar", "Ekwueme-Hart", "Ferreira Mouta",
    "Fitzwarine", "Göransson", "Gwynedd-Pryce", "Hallowmere", "Iñárritu", "Jankovičová",
    "Kyei-Barlow", "Lascelles-Ngo", "Llewhellin", "Mac Giolla Bríde", "Mbeki-Thorne", "Müllerová",
    "Nakamura-Reid", "Ní Dhuibhne", "Nørgaard", "O’Shaughn", "Oyelarin", "Pemberley", "Peñaranda",
    "Quarmby-Rao", "Řezníček", "Saltersgill", "Şahinoğlu", "Strömqvist", "Tết-Aldous",
    "Thistlewaite", "Ubaydullah", "van der Aalst", "Vătășelu", "Wrzesniak", "Yarrowdale", "Zúñiga",
)  # fmt: skip
