"""Common first names that are men's or women's and no other word, in pairs; and those that are both."""

import re

from affina.data.swaps.tokens import both_ways, listed

_ENGLISH = """
    James/Mary John/Patricia Robert/Jennifer Michael/Linda William/Elizabeth David/Barbara Richard/Susan
    Joseph/Jessica Thomas/Sarah Charles/Karen Christopher/Nancy Daniel/Lisa Matthew/Margaret Anthony/Betty
    Donald/Sandra Steven/Ashley Paul/Kimberly Andrew/Emily Joshua/Donna Kenneth/Michelle Kevin/Carolyn Brian/Amanda
    George/Melissa Edward/Deborah Ronald/Stephanie Timothy/Rebecca Jason/Laura Jeffrey/Helen Ryan/Sharon
    Jacob/Cynthia Gary/Kathleen Nicholas/Amy Eric/Shirley Jonathan/Angela Stephen/Anna Larry/Ruth Justin/Brenda
    Scott/Pamela Brandon/Nicole Benjamin/Katherine Samuel/Samantha Gregory/Christine Alexander/Catherine
    Patrick/Virginia Raymond/Debra Dennis/Rachel Jerry/Janet Tyler/Emma Aaron/Maria Jose/Diane Adam/Julie
    Henry/Joyce Nathan/Victoria Peter/Kelly Zachary/Christina Kyle/Joan Walter/Evelyn Harold/Lauren Jeremy/Judith
    Ethan/Olivia Carl/Martha Keith/Cheryl Roger/Megan Gerald/Andrea Arthur/Ann Lawrence/Alice Terence/Jacqueline
    Albert/Doris Jesse/Julia Bryan/Kathryn Ralph/Teresa Noah/Sophia Ahmed/Fatima Mohammed/Aisha Ali/Layla
    Hans/Ingrid Carlos/Carmen Luis/Lucia Pedro/Rosa Ivan/Olga Dmitri/Natasha Malik/Latoya Jamal/Keisha
    DeShawn/Shanice Liam/Charlotte Lucas/Isabella Oliver/Amelia Tom/Kate Mike/Jenny Bob/Jane
    """
ENGLISH = both_ways(_ENGLISH)
_ITALIAN = """
    Marco/Maria Giuseppe/Giovanna Giovanni/Anna Antonio/Antonia Mario/Lucia Luigi/Teresa Francesco/Francesca
    Roberto/Roberta Paolo/Paola Stefano/Stefania Alessandro/Alessandra Davide/Valentina Giorgio/Giorgia
    Matteo/Martina Lorenzo/Elena Riccardo/Laura Simone/Silvia Federico/Federica Luca/Sara Giulio/Giulia Carlo/Carla
    Vincenzo/Vincenza Pietro/Caterina Salvatore/Concetta Angelo/Angela Domenico/Domenica Bruno/Monica
    Gabriele/Gabriella Claudio/Claudia Michele/Michela Maurizio/Cristina Massimo/Patrizia Enrico/Elisa
    Alberto/Alberta Fabio/Barbara Daniele/Daniela Emanuele/Emanuela Gianluca/Ilaria Filippo/Eleonora
    Tommaso/Beatrice Edoardo/Camilla Giacomo/Ginevra Nicola/Nicoletta Sergio/Sonia Raffaele/Raffaella Renato/Renata
    Gennaro/Carmela Ernesto/Ernesta Umberto/Margherita Andrea/Alice Piero/Piera Gianni/Gianna Aldo/Alda Guido/Irene
    Vittorio/Vittoria Dario/Daria Mirko/Debora Alessio/Alessia Cristian/Chiara Jacopo/Sofia Niccolò/Aurora
    Diego/Giada Samuele/Noemi Leonardo/Arianna Ettore/Adele Cesare/Ada Renzo/Agnese Ahmed/Fatima Mohamed/Aisha
    """
ITALIAN = both_ways(_ITALIAN)
NAMES_ITALIAN = {**ENGLISH, **ITALIAN}
"""The names that Italian texts have: English ones too."""
MEN_ITALIAN = (listed(re.sub(r"/\w+", "", _ENGLISH)) - {*ITALIAN}) | listed(re.sub(r"/\w+", "", _ITALIAN))
EITHER = listed(
    """
    Alex Jordan Taylor Casey Robin Sam Chris Pat Jamie Morgan Dana Terry Lee Jean Leslie Kim Max Charlie Jackie Rose
    Grace Hope Faith Joy April May June Lily Daisy Ivy Ruby Amber Pearl Holly Dawn Eve Penny Sue Will Mark Bill Jack
    Rob Frank Rich Nick Art Drew Dean Grant Chase Miles Summer Violet Olive Iris Heather Jasmine Crystal Sky Gene
    """
)
"""English names of both, or that are other words too: where one stands, nobody can tell what agrees with it."""
EITHER_ITALIAN = listed(
    """
    Rosa Viola Bianca Bruna Serena Gioia Vera Stella Luce Margherita Fiore Franco Felice Celeste Diamante Alba Perla
    Gemma Ambra Marina Letizia Fortuna Speranza Vittoria Aurora Domenica Italia Franca Grazia Grazie Pia Pace Leo
    """
)
"""Italian names that are other words too, or of both."""
