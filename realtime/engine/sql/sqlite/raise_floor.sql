UPDATE tocsin_head SET floor = max(floor, %(floor)s) WHERE topic = %(topic)s
